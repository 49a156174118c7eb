// What came of one input of the attack corpus.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ProvenanceError } from '../../src/provenance/index.ts';

/** Taken, refused with an error, or judged worth nothing. */
export type Outcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly code: string; readonly exit: number; readonly message: string }
  | { readonly kind: 'judged'; readonly verdict: string; readonly cap: string; readonly message: string };

/** What is attacked: tries one input, described by a setup of its own form; `{}` is the plain valid one. */
export type Target = (setup: unknown) => Outcome | Promise<Outcome>;

/** Runs what takes an input or throws; only errors of the room are refusals. */
export function outcomeOf(run: () => unknown): Outcome {
  try {
    run();
    return { kind: 'accepted' };
  } catch (error) {
    // Whatever else is thrown is a defect, which the test must show.
    if (!(error instanceof ProvenanceError)) throw error;
    return { kind: 'refused', code: error.code, exit: error.exit, message: error.message };
  }
}

/** As {@link outcomeOf}, of what takes its time. */
export async function laterOutcomeOf(run: () => Promise<unknown>): Promise<Outcome> {
  const settled = await run().then(
    () => null,
    (error: unknown) => ({ error }),
  );
  return outcomeOf(() => {
    if (settled !== null) throw settled.error;
  });
}

/** Runs `use` with a folder that is gone afterwards. */
export function inFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'provost-corpus-'));
  const leave = (): void => rmSync(folder, { recursive: true, force: true });
  let used: T;
  try {
    used = use(folder);
  } catch (error) {
    leave();
    throw error;
  }
  if (!(used instanceof Promise)) leave();
  else used.then(leave, leave);
  return used;
}
