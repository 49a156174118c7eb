// Work that is the same whoever asks for it: many who ask at once share one run.

/**
 * Wraps `work`. Whoever asks while it runs gets the next run, as this one may have begun before what they ask for; all of them share it.
 */
export function coalesced(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  const start = (): Promise<void> => {
    const mine = work().finally(() => {
      if (running === mine) running = null;
    });
    running = mine;
    return mine;
  };
  const begin = (): Promise<void> => {
    next = null;
    return start();
  };
  return () => {
    if (running === null) return start();
    next ??= running.then(begin, begin);
    return next;
  };
}
