// One thing at a time: the changes of a workload's life queue up behind each other, and so do the writes to its input.

/** A queue of tasks that never overlap. A task that fails does not stop the next. */
export class Lane {
  #last: Promise<unknown> = Promise.resolve();
  #depth = 0;

  /** True while a task runs or waits. */
  get isBusy(): boolean {
    return this.#depth > 0;
  }

  /** Runs a task after all that were handed over before; settles as it does. */
  run<T>(task: () => Promise<T>): Promise<T> {
    this.#depth += 1;
    const done = this.#last.then(task, task).finally(() => {
      this.#depth -= 1;
    });
    // The caller gets the failure; the queue only waits for the end.
    this.#last = done.catch(() => undefined);
    return done;
  }
}
