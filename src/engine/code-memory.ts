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
  /** Windows that are learnt once suspicion has gone; forgotten with the process, which only costs what they would have taught. */
  readonly waiting: readonly Window[];
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
    const kept = readModel(this.#store?.models.get({ artifactDigest: key })?.document ?? null);
    // A model of another architecture's calls says nothing here.
    const model = kept?.architecture === this.#architecture ? kept : createModel(this.#architecture);
    return this.#holdBaseline(key, { model, waiting: [] });
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
    if (before?.model === baseline.model) {
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
    if (held !== undefined) this.#store?.models.put({ artifactDigest: key, document: held.model, updatedMs: nowMs });
    this.#unsavedBaselines.delete(key);
  }
}

/** A model that cannot be read is none: the code is unknown again, which only ever costs it trust. */
function readModel(document: unknown): Model | null {
  if (document === null) return null;
  try {
    return parseModel(document);
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
