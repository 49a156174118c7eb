// Opens the engine of a home: ledger, store, drivers, network and sensor; adopts what runs; starts the loop.
import { mkdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

import { pino } from 'pino';

import type { WorkloadEvent } from '../api/index.ts';
import { openContentStore } from '../artifact/index.ts';
import { Lane, messageOf, systemClock } from '../base/index.ts';
import { openJournal } from '../ledger/index.ts';
import type { Override } from '../policy/index.ts';
import { ChainCache, openAttestationStore, openKeyring } from '../provenance/index.ts';
import { openNetwork, openSensor } from '../sandbox/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { Attachments } from './attachments.ts';
import { CodeMemory } from './code-memory.ts';
import type { EngineContext, WindowObserver } from './context.ts';
import { defaultOrigins } from './default-origins.ts';
import { driverNameOf, probeDrivers } from './drivers.ts';
import type { Engine } from './engine.ts';
import { EventBus } from './event-bus.ts';
import type { Home } from './home.ts';
import { HOME_ORIGIN } from './serving-logs.ts';
import { openPlaces } from './journal-places.ts';
import { keepLogged, markKept } from './keeping-attestations.ts';
import { reconcileKeys } from './keys.ts';
import { leavesOfJournal } from './log-leaves.ts';
import { Policies, readHomePolicy } from './policies.ts';
import { PublisherHistory } from './publisher-history.ts';
import { incidentsOf } from './reading.ts';
import { makeHostKey } from './recording-deploy.ts';
import { issuerOf } from './recording.ts';
import { recover } from './recovery.ts';
import { watchExit } from './restarting.ts';
import { startLoop } from './tick.ts';
import { useCases } from './use-cases.ts';

/** What an engine is opened with. */
export interface EngineOptions {
  readonly home: Home;
  readonly observeWindow?: WindowObserver;
}

/**
 * Opens the engine. One per home: the journal's lock decides.
 *
 * @throws LedgerError LEDGER_LOCKED, LEDGER_CORRUPT; PolicyError; StoreError; SandboxError; ProvenanceError PROVENANCE_KEYRING
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  await using stack = new AsyncDisposableStack();
  const context = await openContext(options, stack);
  await reconcileKeys(context);
  await keepLogged(context);
  stack.defer(() => markKept(context));
  await makeHostKey(context);
  await recover(context);
  const loop = startLoop(context);
  stack.defer(() => loop.stop());
  const engine = useCases(context);
  const opened = stack.move();
  // Not spread: that would freeze `activeCount` at what it is now.
  return Object.assign(engine, { [Symbol.asyncDispose]: () => opened.disposeAsync() });
}

async function openContext(
  { home, observeWindow }: EngineOptions,
  stack: AsyncDisposableStack,
): Promise<EngineContext> {
  const log = pino({ name: 'provost', level: process.env['PROVOST_LOG_LEVEL'] ?? 'warn' }, pino.destination(2));
  // The lock first: whatever comes after may clear away what another supervisor still uses.
  const journal = stack.use(await openJournal(home.logDir, `${HOME_ORIGIN}${home.id}`));
  for (const dir of [home.runDir, home.scratchDir, home.cacheDir]) mkdirSync(dir, { recursive: true, mode: 0o700 });
  const store = stack.use(openStore(home.database, { homeId: home.id }));
  const content = stack.use(await openContentStore(home.contentDir));
  const { drivers, isolationAvailable } = await probeDrivers(home, { remember: true });
  const network = stack.use(await openNetwork({ homeId: home.id }));
  const sensor = stack.use(await openSensor({}));
  const memory = new CodeMemory(store);
  const publishers = new PublisherHistory(store);
  stack.defer(() => {
    memory.save(systemClock.nowMs(), { now: true });
    publishers.save(systemClock.nowMs());
  });
  const context: EngineContext = {
    home,
    log,
    clock: systemClock,
    store,
    journal,
    content,
    drivers,
    isolationAvailable,
    network,
    sensor,
    memory,
    publishers,
    keyring: openKeyring(home.keysDir, issuerOf(home)),
    attestations: openAttestationStore(home.attestationsDir, openPlaces(journal)),
    leaves: leavesOfJournal(journal, (why) => log.error(why)),
    chains: new ChainCache(defaultOrigins()),
    policies: new Policies(readHomePolicy(home.policyFile), content),
    events: openEvents(store),
    attachments: new Attachments(),
    observeWindow: observeWindow ?? null,
    keyLane: new Lane(),
    workloads: new Map(),
    incidents: incidentsOf(store),
    phases: new Map(),
    promised: new Set(),
    starting: new Set(),
    hostCapacity: { cpuMillicores: availableParallelism() * 1000, memoryBytes: totalmem() },
    driverNameFor: (grant) => driverNameOf(grant) ?? 'runc',
    loadOverride: (workload) => loadOverride(store, workload, systemClock.nowMs()),
    watchExit: (running, instance) => watchExit(context, running, instance),
    ...openBackground(log, stack),
  };
  return context;
}

function openEvents(store: Store): EventBus {
  const keep = (event: WorkloadEvent): number =>
    store.events.append({ workload: event.workload, timeMs: Date.parse(event.time), document: event });
  return new EventBus(keep, store.events.lastSeq());
}

function loadOverride(store: Store, workload: string, nowMs: number): Override | null {
  const row = store.overrides.get({ workload });
  return row === null || row.untilMs <= nowMs ? null : (row.document as Override);
}

/** Work that nobody waits for, until the engine closes. */
function openBackground(
  log: EngineContext['log'],
  stack: AsyncDisposableStack,
): Pick<EngineContext, 'inBackground' | 'later'> {
  const underWay = new Set<Promise<unknown>>();
  const timers = new Set<NodeJS.Timeout>();
  const inBackground = (work: Promise<unknown>): void => {
    const watched = work
      .catch((error: unknown) => log.error({ error: messageOf(error) }, 'work in the background failed'))
      .finally(() => underWay.delete(watched));
    underWay.add(watched);
  };
  const later = (delayMs: number, task: () => Promise<unknown>): void => {
    const timer = setTimeout(() => {
      timers.delete(timer);
      inBackground(task());
    }, delayMs);
    timers.add(timer);
  };
  stack.defer(async () => {
    for (const timer of timers) clearTimeout(timer);
    await Promise.all(underWay);
  });
  return { inBackground, later };
}
