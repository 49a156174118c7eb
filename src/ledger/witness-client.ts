// Asks witnesses for cosignatures of a checkpoint, until as many as are needed have given theirs.
import { setTimeout as delay } from 'node:timers/promises';

import { exitStatus } from '../base/index.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { LedgerError } from './journal.ts';
import { readBody } from './log-source.ts';
import type { NoteVerifier } from './note-key.ts';
import { NOTE_BYTES_MAX, parseNote, parseSignatureLines } from './signed-note.ts';
import { SIZE_MEDIA_TYPE } from './witness.ts';

const REQUEST_MS_MAX = 10_000;
/** Between two rounds of asking, while too few have answered. */
const RETRY_MS = 500;
/** A witness that says another size each time is not asked for ever. */
const SIZES_MAX = 3;

/** A witness as a log knows it. */
export interface WitnessAddress {
  /** The prefix below which it answers `add-checkpoint`. */
  readonly url: string;
  readonly key: NoteVerifier;
}

/** What a log asks its witnesses with. */
export interface WitnessRequest {
  readonly witnesses: readonly WitnessAddress[];
  /** How many must cosign before the checkpoint may be published. */
  readonly quorum: number;
  /** That the tree of `to` entries continues the one of `from`. */
  readonly proof: (from: number, to: number) => Promise<readonly Buffer[]>;
  /** Ends the asking; what was gathered is given. */
  readonly signal: AbortSignal;
}

/** Remembers what each witness cosigned last, so that it is asked once. */
export class WitnessClient {
  readonly #sizes = new Map<string, number>();

  /**
   * The checkpoint with the cosignatures of at least `quorum` witnesses.
   *
   * @throws LedgerError LEDGER_QUORUM when `signal` ended the asking before
   */
  async cosign(checkpoint: Buffer, request: WitnessRequest): Promise<Buffer> {
    const lines = new Map<string, string>();
    while (!request.signal.aborted) {
      const missing = request.witnesses.filter(({ key }) => !lines.has(key.text));
      await Promise.all(
        missing.map(async (witness) => {
          const line = await this.#ask(witness, checkpoint, request).catch(() => null);
          if (line !== null) lines.set(witness.key.text, line);
        }),
      );
      if (lines.size >= request.quorum) break;
      await delay(RETRY_MS, undefined, { signal: request.signal }).catch(() => undefined);
    }
    if (lines.size < request.quorum) throw tooFew(lines.size, request.quorum);
    return Buffer.concat([checkpoint, Buffer.from([...lines.values()].join(''))]);
  }

  async #ask({ url, key }: WitnessAddress, checkpoint: Buffer, request: WitnessRequest): Promise<string | null> {
    const { text } = parseNote(checkpoint);
    const { size } = parseCheckpoint(text);
    for (let attempt = 0; attempt < SIZES_MAX; attempt += 1) {
      const from = this.#sizes.get(url) ?? 0;
      const proof = from > size ? [] : await request.proof(from, size);
      const head = [`old ${from}`, ...proof.map((hash) => hash.toString('base64')), '', ''].join('\n');
      const response = await fetch(new URL('add-checkpoint', url.endsWith('/') ? url : `${url}/`), {
        method: 'POST',
        body: new Uint8Array(Buffer.concat([Buffer.from(head), checkpoint])),
        signal: AbortSignal.any([request.signal, AbortSignal.timeout(REQUEST_MS_MAX)]),
      });
      const body = await readBody(response, NOTE_BYTES_MAX);
      if (response.status === 200) {
        this.#sizes.set(url, size);
        return cosignatureIn(body, text, key);
      }
      const known =
        response.headers.get('content-type')?.startsWith(SIZE_MEDIA_TYPE) === true ? Number(body) : Number.NaN;
      if (response.status !== 409 || !Number.isSafeInteger(known) || known < 0 || known > size || known === from)
        return null;
      this.#sizes.set(url, known);
    }
    return null;
  }
}

function tooFew(count: number, quorum: number): LedgerError {
  return new LedgerError('LEDGER_QUORUM', `${count} of the ${quorum} witnesses that are needed have cosigned`, {
    exit: exitStatus.unavailable,
    hint: 'What was logged is kept, and published once they answer: check that they run.',
  });
}

/** The line of the witness's own key, if it holds. */
function cosignatureIn(body: Buffer, text: string, key: NoteVerifier): string | null {
  try {
    const own = parseSignatureLines(body).find(({ name, keyId }) => name === key.name && keyId === key.id);
    return own !== undefined && key.verify(text, own.bytes) !== null ? `${own.line}\n` : null;
  } catch {
    // What it answered are no signatures: it is asked again.
    return null;
  }
}
