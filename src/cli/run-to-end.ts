// A workload that is part of a command: started, shown as it writes, awaited, and gone with it.
import { type RunRequest, workloadEvent } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import { CliError } from './cli-error.ts';
import { type Client, RemoteError } from './client.ts';
import type { CliContext } from './context.ts';
import { logQuery, parseLogLine } from './log-output.ts';

/** How it ended. */
export interface EndedRun {
  readonly code: number;
  /** Mode of the network that it was granted at its start. */
  readonly network: string;
}

/**
 * Runs a workload to its end. Where our stdout is for data, what it writes goes to stderr. An interruption ends it.
 *
 * @throws RemoteError when it cannot be started; CliError CLI_NO_SUPERVISOR
 */
export async function runToEnd(context: CliContext, request: RunRequest): Promise<EndedRun> {
  const { out } = context;
  const client = await context.client();
  const { workload, instance, network } = await start(client, request);
  out.done();
  const path = `/v1/workloads/${encodeURIComponent(workload)}`;
  const stop = (): void => {
    // It may have ended by itself in the meantime; its events say how.
    client.call({ method: 'POST', path: `${path}/stop`, body: { timeoutMs: 0 } }).catch(() => undefined);
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    for await (const value of client.lines({ method: 'GET', path: logQuery(workload, { follow: 'true' }) })) {
      const { stream, text, partial } = parseLogLine(value);
      (stream === 'stderr' || out.json ? process.stderr : process.stdout).write(partial ? text : `${text}\n`);
    }
    return { code: await exitCodeOf(client, workload, instance), network };
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    await client.call({ method: 'DELETE', path: `${path}?force=true` });
  }
}

async function start(
  client: Client,
  request: RunRequest,
): Promise<{ readonly workload: string; readonly instance: string; readonly network: string }> {
  let [workload, instance, network] = [request.name ?? '', '', ''];
  for await (const line of client.lines({ method: 'POST', path: '/v1/workloads', body: request })) {
    if (typeof line !== 'object' || line === null || 'result' in line) continue;
    if ('error' in line) throw new RemoteError(line as ConstructorParameters<typeof RemoteError>[0]);
    const event = workloadEvent.parse(line);
    if (event.event === 'admitted') network = event.grant.network;
    if (event.event === 'started') [workload, instance] = [event.workload, event.instance];
  }
  return { workload, instance, network };
}

async function exitCodeOf(client: Client, workload: string, instance: string): Promise<number> {
  let isOurs = false;
  for await (const { value } of client.events(`/v1/events?workload=${encodeURIComponent(workload)}&after=0`)) {
    const event = workloadEvent.parse(value);
    isOurs ||= event.event === 'started' && event.instance === instance;
    if (!isOurs || event.event !== 'exited' || !event.final) continue;
    return event.reason === 'memory limit' ? exitStatus.memoryLimit : event.code;
  }
  throw new CliError('CLI_NO_SUPERVISOR', 'the supervisor went away while the command ran', {
    exit: exitStatus.unavailable,
    hint: 'Run it again.',
  });
}
