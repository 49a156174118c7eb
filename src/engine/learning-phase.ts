// Learning phases: for a bounded time a person vouches for what a workload does, so that windows that are only unusual are learnt at once.
import { learn, type Window } from '../behaviour/index.ts';
import type { DriverName } from '../sandbox/index.ts';
import type { RuntimeStep, RuntimeVerdict } from '../trust/index.ts';
import type { Baseline } from './code-memory.ts';

/** How a phase ended. After an alarm nothing of it is kept; else what was learnt is. */
export type PhaseEnd = 'time' | 'windows' | 'interrupted' | 'stopped' | 'alarm';

/** What a phase has seen so far. */
export interface PhaseCounts {
  readonly learnt: number;
  /** Of those, how many the model would have called unusual (anomaly of 0.95 or more). */
  readonly unusual: number;
  /** Left out as they broke a rule. */
  readonly violating: number;
  /** Left out as nothing happened in them. */
  readonly idle: number;
}

/** What a phase is about, and its bounds. */
export interface PhaseScope {
  readonly artifactDigest: string;
  /** Only windows of this workload; null: of every workload of the artifact. */
  readonly workload: string | null;
  readonly startedMs: number;
  readonly untilMs: number;
  readonly windowsMax: number;
}

/** A window of a phase, and what was made of it. */
export interface PhaseWindow {
  readonly driver: DriverName;
  readonly window: Window;
  readonly verdict: RuntimeVerdict;
  readonly step: RuntimeStep;
  readonly alarmAt: number;
}

const UNUSUAL_FROM = 0.95;

/** One phase under way. It changes nothing by itself: it says what the baseline becomes, and the loop puts it there. */
export class LearningPhase {
  readonly scope: PhaseScope;
  readonly #ended = Promise.withResolvers<PhaseEnd>();
  readonly #onWindow: (counts: PhaseCounts) => void;
  /** What was known when the phase began to teach, by driver: what an alarm goes back to. */
  readonly #before = new Map<DriverName, Baseline>();
  #counts: PhaseCounts = { learnt: 0, unusual: 0, violating: 0, idle: 0 };
  #end: PhaseEnd | null = null;

  constructor(scope: PhaseScope, onWindow: (counts: PhaseCounts) => void) {
    this.scope = scope;
    this.#onWindow = onWindow;
  }

  get counts(): PhaseCounts {
    return this.#counts;
  }

  /** Baselines as they were, of the drivers that it has taught. */
  get before(): ReadonlyMap<DriverName, Baseline> {
    return this.#before;
  }

  /** Resolves once it has ended. */
  get ended(): Promise<PhaseEnd> {
    return this.#ended.promise;
  }

  /** Whether a window that ends now is one of this phase. */
  covers(artifactDigest: string, workload: string, nowMs: number): boolean {
    const { scope } = this;
    // A clock that was set back ends it, too: it would last longer than was vouched for.
    return (
      this.#end === null &&
      scope.artifactDigest === artifactDigest &&
      (scope.workload === null || scope.workload === workload) &&
      nowMs >= scope.startedMs &&
      nowMs < scope.untilMs
    );
  }

  end(how: PhaseEnd): void {
    if (this.#end !== null) return;
    this.#end = how;
    this.#ended.resolve(how);
  }

  /**
   * What the baseline becomes by a window: the window is learnt at once unless nothing happened in it or it broke a rule. An alarm ends the
   * phase and takes all of it back: who vouched did not see what the test saw.
   */
  take(baseline: Baseline, { driver, window, verdict, step, alarmAt }: PhaseWindow): Baseline {
    if (step.alarmed || step.state.suspicion >= alarmAt) {
      this.end('alarm');
      this.#counts = { ...this.#counts, learnt: 0, unusual: 0 };
      return this.#before.get(driver) ?? baseline;
    }
    const isLearnt = verdict.active && verdict.violations.length === 0;
    const { learnt, unusual, violating, idle } = this.#counts;
    this.#counts = {
      learnt: learnt + (isLearnt ? 1 : 0),
      unusual: unusual + (isLearnt && verdict.anomaly >= UNUSUAL_FROM ? 1 : 0),
      violating: violating + (verdict.violations.length > 0 ? 1 : 0),
      idle: idle + (!verdict.active && verdict.violations.length === 0 ? 1 : 0),
    };
    this.#onWindow(this.#counts);
    if (!isLearnt) return baseline;
    if (!this.#before.has(driver)) this.#before.set(driver, { ...baseline, waiting: [] });
    if (this.#counts.learnt >= this.scope.windowsMax) this.end('windows');
    // What waited for calm before it was not vouched for.
    return { ...baseline, model: learn(baseline.model, window), waiting: [] };
  }
}
