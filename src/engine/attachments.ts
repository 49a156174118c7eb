// Who waits for whom when a client wants a workload's streams from its first byte.
const ATTACH_TIMEOUT_MS = 10_000;

/** Meeting points of clients that attach and launches that wait for them. */
export class Attachments {
  readonly #waiting = new Map<string, { readonly path: string; readonly arrived: () => void }>();

  /** Resolves once a client has attached, or after a while without: then the workload starts unattended. */
  expect(workload: string, path: string, announce: () => void): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, ATTACH_TIMEOUT_MS);
    this.#waiting.set(workload, { path, arrived: resolve });
    announce();
    return promise.finally(() => {
      clearTimeout(timer);
      this.#waiting.delete(workload);
    });
  }

  /** A client holds the streams now. */
  arrived(workload: string): void {
    this.#waiting.get(workload)?.arrived();
  }

  /** Where the streams of a workload are that waits for a client. */
  pathOf(workload: string): string | null {
    return this.#waiting.get(workload)?.path ?? null;
  }
}
