// What the engine remembers of code, by artifact digest: how it behaved, and what is normal for it. Bounded; the store has the rest.
import {
  BehaviourError,
  type CallArchitecture,
  createModel,
  type Model,
  parseModel,
  type Window,
} from '../behaviour/index.ts';
import type { Policy } from '../policy/index.ts';
import type { DriverName } from '../sandbox/index.ts';
import type { Store } from '../store/index.ts';
import { initialRuntimeState, type RuntimeState } from '../trust/index.ts';

/** What is normal for code in one kind of sandbox: gVisor's own kernel uses CPU and threads that the code alone does not. */
export interface Baseline {
  readonly model: Model;
  readonly origin: BaselineOrigin;
  /** Windows that are learnt once suspicion has gone; forgotten with the process, which only costs what they would have taught. */
  readonly waiting: readonly Window[];
}

/** Where a baseline comes from; what was learnt here in passing says nothing of itself. */
export interface BaselineOrigin {
  /** Whom it was taken over from; null when all of it was learnt here. */
  readonly imported: ImportedFrom | null;
  /** Learning phases that people vouched for, oldest first. */
  readonly phases: readonly PhaseRecord[];
}

export interface ImportedFrom {
  readonly atMs: number;
  readonly envelopeDigest: string;
  readonly logIndex: number;
  /** Names of the keys that signed it. */
  readonly by: string;
  readonly windows: number;
  readonly modelDigest: string;
}

export interface PhaseRecord {
  readonly startedMs: number;
  readonly endedMs: number;
  readonly windows: number;
  readonly reason: string;
  /** Index of the entry by which somebody vouched for it. */
  readonly logIndex: number;
}

/** The origin of what was learnt here, in passing. */
export const learntHere: BaselineOrigin = { imported: null, phases: [] };

/** Learning phases that are remembered of a baseline; the log has all. */
const PHASES_MAX = 8;

/** An origin with one more phase. */
export function withPhase(origin: BaselineOrigin, phase: PhaseRecord): BaselineOrigin {
  return { ...origin, phases: [...origin.phases, phase].slice(-PHASES_MAX) };
}

/** Clean time may be lost in a crash, up to this much; a fall never is. */
const SAVE_EVERY_MS = 5000;
/** Digests held in memory: above what one host runs, and with models of at most 96 KiB each still small. */
const HELD_MAX = 1024;

/** Every instance of an artifact, under whatever name, folds into the same state. */
export class CodeMemory {
  readonly #store: Store | null;
  readonly #architecture: CallArchitecture;
  readonly #heldMax: number;
  /** In both, what was changed longest ago comes first. */
  readonly #runtimes = new Map<string, RuntimeState>();
  readonly #baselines = new Map<string, Baseline>();
  readonly #unsavedRuntimes = new Set<string>();
  readonly #unsavedBaselines = new Set<string>();
  #savedMs = 0;

  /** Without a store (a home that was never used) all code is unknown. */
  constructor(
    store: Store | null,
    options: { readonly architecture?: CallArchitecture; readonly heldMax?: number } = {},
  ) {
    this.#store = store;
    this.#architecture = options.architecture ?? hostArchitecture();
    this.#heldMax = options.heldMax ?? HELD_MAX;
  }

  /** The architecture whose calls the models of this host count. */
  get architecture(): CallArchitecture {
    return this.#architecture;
  }

  /** Entries in memory: digests, and baselines of them. */
  get heldCount(): number {
    return this.#runtimes.size + this.#baselines.size;
  }

  /** How a digest behaved; as unknown code when it never ran here. */
  runtimeOf(digest: string, policy: Pick<Policy, 'runtime'>): RuntimeState {
    const held = this.#runtimes.get(digest);
    if (held !== undefined) return held;
    const kept =
      this.#store?.trustStates.get({ artifactDigest: digest })?.document ?? initialRuntimeState(policy.runtime);
    return this.#holdRuntime(digest, kept as RuntimeState);
  }

  /** What is normal for a digest under a driver; nothing yet when it never ran there. */
  baselineOf(digest: string, driver: DriverName): Baseline {
    const key = baselineKey(digest, driver);
    const held = this.#baselines.get(key);
    if (held !== undefined) return held;
    const kept = readKept(this.#store?.models.get({ artifactDigest: key })?.document ?? null);
    // A model of another architecture's calls says nothing here.
    const isUsable = kept !== null && kept.model.architecture === this.#architecture;
    const known = isUsable ? kept : { model: createModel(this.#architecture), origin: learntHere };
    return this.#holdBaseline(key, { ...known, waiting: [] });
  }

  /** Replaces a state. A lower score is kept at once, a higher one with the next `save`; a mere count of idle windows is not kept. */
  putRuntime(digest: string, state: RuntimeState, nowMs: number): void {
    const before = this.#runtimes.get(digest);
    if (before !== undefined && isSameTrust(before, state)) {
      this.#runtimes.set(digest, state);
      return;
    }
    this.#runtimes.delete(digest);
    this.#holdRuntime(digest, state);
    this.#unsavedRuntimes.add(digest);
    if (before !== undefined && state.score < before.score) this.#writeRuntime(digest, nowMs);
  }

  /** Replaces a baseline; kept with the next `save`. */
  putBaseline(digest: string, driver: DriverName, baseline: Baseline): void {
    const key = baselineKey(digest, driver);
    const before = this.#baselines.get(key);
    if (before?.model === baseline.model && before.origin === baseline.origin) {
      this.#baselines.set(key, baseline);
      return;
    }
    this.#baselines.delete(key);
    this.#holdBaseline(key, baseline);
    this.#unsavedBaselines.add(key);
  }

  /** Writes what changed, at most every few seconds unless `now`. */
  save(nowMs: number, options: { readonly now: boolean } = { now: false }): void {
    if (!options.now && nowMs - this.#savedMs < SAVE_EVERY_MS && nowMs >= this.#savedMs) return;
    this.#savedMs = nowMs;
    if (this.#unsavedRuntimes.size + this.#unsavedBaselines.size === 0) return;
    this.#store?.transaction(() => {
      for (const digest of this.#unsavedRuntimes) this.#writeRuntime(digest, nowMs);
      for (const key of this.#unsavedBaselines) this.#writeBaseline(key, nowMs);
    }, 'relaxed');
  }

  #holdRuntime(digest: string, state: RuntimeState): RuntimeState {
    const oldest = this.#runtimes.keys().next().value;
    if (this.#runtimes.size >= this.#heldMax && oldest !== undefined) {
      if (this.#unsavedRuntimes.has(oldest)) this.#writeRuntime(oldest, this.#savedMs);
      this.#runtimes.delete(oldest);
    }
    this.#runtimes.set(digest, state);
    return state;
  }

  #holdBaseline(key: string, baseline: Baseline): Baseline {
    const oldest = this.#baselines.keys().next().value;
    if (this.#baselines.size >= this.#heldMax && oldest !== undefined) {
      if (this.#unsavedBaselines.has(oldest)) this.#writeBaseline(oldest, this.#savedMs);
      this.#baselines.delete(oldest);
    }
    this.#baselines.set(key, baseline);
    return baseline;
  }

  #writeRuntime(digest: string, nowMs: number): void {
    const document = this.#runtimes.get(digest);
    if (document !== undefined) this.#store?.trustStates.put({ artifactDigest: digest, document, updatedMs: nowMs });
    this.#unsavedRuntimes.delete(digest);
  }

  #writeBaseline(key: string, nowMs: number): void {
    const held = this.#baselines.get(key);
    if (held !== undefined) {
      const document = held.origin === learntHere ? held.model : { model: held.model, origin: held.origin };
      this.#store?.models.put({ artifactDigest: key, document, updatedMs: nowMs });
    }
    this.#unsavedBaselines.delete(key);
  }
}

/** A bare model, or one with its origin. One that cannot be read is none: the code is unknown again, which only ever costs it trust. */
function readKept(document: unknown): Pick<Baseline, 'model' | 'origin'> | null {
  if (document === null) return null;
  // Of this home's own store: the origin is ours, and decides nothing.
  const { model = document, origin = learntHere } = document as { model?: unknown; origin?: BaselineOrigin };
  try {
    return { model: parseModel(model), origin };
  } catch (error) {
    if (error instanceof BehaviourError) return null;
    throw error;
  }
}

function baselineKey(digest: string, driver: DriverName): string {
  return driver === 'runc' ? digest : `${digest}/${driver}`;
}

/** All but the count of windows, which every idle window raises. */
function isSameTrust(a: RuntimeState, b: RuntimeState): boolean {
  return a.score === b.score && a.suspicion === b.suspicion && a.cleanMs === b.cleanMs && a.alarms === b.alarms;
}

function hostArchitecture(): CallArchitecture {
  return process.arch === 'arm64' ? 'arm64' : 'x64';
}
