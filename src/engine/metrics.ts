// Prometheus metrics, read from the engine's memory when they are asked for.
import { Gauge, Registry } from 'prom-client';

import type { EngineContext } from './context.ts';
import type { Running } from './running.ts';

const perWorkload: readonly {
  readonly name: string;
  readonly help: string;
  readonly of: (running: Running) => number;
}[] = [
  { name: 'provost_workload_trust_score', help: 'Trust score, 0 to 1', of: ({ standing }) => standing.score.score },
  {
    name: 'provost_workload_anomaly_ratio',
    help: 'How unusual the last window was, 0 to 1',
    of: ({ anomaly }) => anomaly ?? 0,
  },
  {
    name: 'provost_workload_granted_cpu_cores',
    help: 'CPU that is granted',
    of: ({ standing }) => standing.grant.cpu.millicores / 1000,
  },
  {
    name: 'provost_workload_granted_memory_bytes',
    help: 'Memory that is granted',
    of: ({ standing }) => standing.grant.memory.bytes,
  },
  {
    name: 'provost_workload_used_cpu_cores',
    help: 'CPU used in the last window',
    of: ({ usage }) => (usage?.cpuMillicores ?? 0) / 1000,
  },
  {
    name: 'provost_workload_used_memory_bytes',
    help: 'Memory used at the end of the last window',
    of: ({ usage }) => usage?.memoryBytes ?? 0,
  },
  {
    name: 'provost_workload_syscalls_per_second',
    help: 'System calls in the last window',
    of: ({ usage }) => usage?.syscallsPerSecond ?? 0,
  },
  {
    name: 'provost_workload_connections_per_second',
    help: 'Connections that it began in the last window',
    of: ({ usage }) => usage?.connectionsPerSecond ?? 0,
  },
  {
    name: 'provost_workload_refused_connections_per_second',
    help: 'Connections that others refused to it in the last window',
    of: ({ usage }) => usage?.refusedPerSecond ?? 0,
  },
  {
    name: 'provost_workload_dns_questions_per_second',
    help: 'Questions to the DNS in the last window',
    of: ({ usage }) => usage?.dnsQuestionsPerSecond ?? 0,
  },
  { name: 'provost_workload_running', help: '1 while it runs', of: ({ instance }) => (instance === null ? 0 : 1) },
];

/** The metrics page. */
export async function renderMetrics(context: EngineContext): Promise<string> {
  const registry = new Registry();
  for (const { name, help, of } of perWorkload) {
    const gauge = new Gauge({ name, help, labelNames: ['workload', 'tier', 'sandbox'], registers: [registry] });
    for (const running of context.workloads.values()) gauge.set(labelsOf(running), of(running));
  }
  incidentGauge(context, registry);
  new Gauge({ name: 'provost_journal_entries', help: 'Entries of the journal', registers: [registry] }).set(
    context.journal.size,
  );
  return registry.metrics();
}

function labelsOf({ name, standing, instance }: Running): Record<string, string> {
  return { workload: name, tier: standing.grantedTier, sandbox: instance?.sandbox.record.driver ?? 'none' };
}

function incidentGauge(context: EngineContext, registry: Registry): void {
  const gauge = new Gauge({
    name: 'provost_incidents',
    help: 'Incidents by state',
    labelNames: ['state'],
    registers: [registry],
  });
  for (const state of ['open', 'acknowledged', 'resolved'] as const) {
    gauge.set({ state }, [...context.incidents.values()].filter((incident) => incident.state === state).length);
  }
}
