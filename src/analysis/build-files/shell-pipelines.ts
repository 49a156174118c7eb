// Finds pipelines in which what one command downloads is run by another, also through the functions of the script.
import { type Note, shown } from './finding.ts';
import type { ShellCommand, ShellGroup, ShellPipeline, ShellScript } from './shell-commands.ts';
import { isFetching, isRunningInput, isRunningText, programsOf } from './shell-programs.ts';

type Step = ShellCommand | ShellGroup;

/** Notes every download of a script that is run unseen. */
export function judgePipelines(script: ShellScript, note: Note): void {
  const judge = new PipelineJudge(note);
  judge.define(script.pipelines);
  judge.judge(script.pipelines);
}

/** The last name of a command that is known, for a message. */
export function nameOf(command: ShellCommand): string {
  return shown(programsOf(command).at(-1) ?? 'a command');
}

class PipelineJudge {
  readonly #note: Note;
  /** Functions whose output can be a download, and functions that run their input. */
  readonly #fetching = new Set<string>();
  readonly #running = new Set<string>();

  constructor(note: Note) {
    this.#note = note;
  }

  /** Learns the functions in the order in which they are defined. */
  define(pipelines: readonly ShellPipeline[]): void {
    for (const step of pipelines.flat()) {
      if (step.kind === 'group') this.define(step.pipelines);
      const name = step.kind === 'group' ? step.functionName : null;
      if (name === null) continue;
      if (this.#fetches(step)) this.#fetching.add(name);
      if (this.#runner(step) !== null) this.#running.add(name);
    }
  }

  judge(pipelines: readonly ShellPipeline[]): void {
    for (const steps of pipelines) {
      let isFed = false;
      for (const step of steps) {
        const runner = isFed ? this.#runner(step) : null;
        if (runner !== null) this.#found(runner, `what is downloaded is piped to ${nameOf(runner)}`);
        isFed ||= this.#fetches(step);
        const sink = isFed && step.kind === 'command' ? this.#sink(step) : null;
        if (sink !== null) this.#found(sink, `what is downloaded is written to ${nameOf(sink)}`);
        if (step.kind === 'group') this.judge(step.pipelines);
        else this.#judgeInner(step);
      }
    }
  }

  #found(command: ShellCommand, message: string): void {
    this.#note('shell.remote-script', command.line, message);
  }

  #judgeInner(command: ShellCommand): void {
    const isCommand = /^[$<]\(\)/.test(command.words.find((word) => !/^\w+=/.test(word)) ?? '');
    if (this.#fetchesInside(command) && (isRunningText(command) || isCommand))
      this.#found(command, `what is downloaded is run${isCommand ? '' : ` by ${nameOf(command)}`}`);
    for (const { pipelines } of [...command.inner.map(({ script }) => script), ...command.heredocs]) {
      this.define(pipelines);
      this.judge(pipelines);
    }
  }

  #fetches(step: Step): boolean {
    if (step.kind === 'group') return step.pipelines.flat().some((it) => this.#fetches(it));
    return isFetching(step) || this.#fetching.has(step.words[0] ?? '') || this.#fetchesInside(step);
  }

  #fetchesInside({ inner }: ShellCommand): boolean {
    return inner.some(({ kind, script }) => kind !== 'sink' && script.pipelines.flat().some((it) => this.#fetches(it)));
  }

  #runner(step: Step): ShellCommand | null {
    if (step.kind === 'command') return isRunningInput(step) || this.#running.has(step.words[0] ?? '') ? step : null;
    for (const inner of step.pipelines.flat()) {
      const runner = this.#runner(inner);
      if (runner !== null) return runner;
    }
    return null;
  }

  #sink({ inner }: ShellCommand): ShellCommand | null {
    const steps = inner.flatMap(({ kind, script }) => (kind === 'sink' ? script.pipelines.flat() : []));
    return steps.map((step) => this.#runner(step)).find((runner) => runner !== null) ?? null;
  }
}
