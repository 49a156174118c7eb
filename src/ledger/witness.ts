// A witness: cosigns a log's checkpoints as long as each continues the one before. @source https://c2sp.org/tlog-witness
import { hash } from 'node:crypto';
import { join } from 'node:path';

import { isSameBytes, Lane } from '../base/index.ts';
import { parseCheckpoint, type VerifiedCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import type { LogDisk } from './log-disk.ts';
import type { NoteSigner, NoteVerifier } from './note-key.ts';
import { PROOF_HASHES_MAX, verifyConsistency } from './proof.ts';
import { decodeBase64, parseNote, signatureLine } from './signed-note.ts';
import { EMPTY_ROOT, HASH_BYTES } from './tree-hash.ts';

/** Media type of the size that a witness answers when it knows another. */
export const SIZE_MEDIA_TYPE = 'text/x.tlog.size';
/** Longest of the lines before the checkpoint. */
const REQUEST_HEAD_LINES_MAX = PROOF_HASHES_MAX + 1;

/** What a witness answers, in terms of HTTP. */
export interface WitnessAnswer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422;
  readonly mediaType: string;
  readonly body: string;
}

/** What a witness works with. */
export interface WitnessParts {
  readonly disk: LogDisk;
  /** Folder with a file for each log. */
  readonly dir: string;
  readonly signer: NoteSigner;
  /** Keys of the logs that it cosigns, by origin. */
  readonly logs: ReadonlyMap<string, readonly NoteVerifier[]>;
}

/** Cosigns checkpoints. */
export interface Witness {
  /** Answers one request; never throws for what a client sent. @throws the disk's error when it cannot be remembered: nothing is cosigned then */
  addCheckpoint(body: Buffer): Promise<WitnessAnswer>;
}

/** Opens a witness, which goes on from what it remembers. */
export function openWitness(parts: WitnessParts): Witness {
  const lanes = new Map([...parts.logs.keys()].map((origin) => [origin, new Lane()]));
  return {
    addCheckpoint: async (body) => {
      const request = parseRequest(body);
      if (request === null) return plain(400, 'the request has not the form of one');
      const log = parts.logs.get(request.origin);
      const lane = lanes.get(request.origin);
      if (log === undefined || lane === undefined) return plain(404, 'this log is not known here');
      const checkpoint = verified(request.note, log);
      if (checkpoint === null) return plain(403, 'no key of the log signed this checkpoint');
      if (request.oldSize > checkpoint.size) return plain(400, 'the old size is larger than the checkpoint');
      // Check and memory in one turn: two requests must not both build on the same old checkpoint.
      return lane.run(() => cosign(parts, request, checkpoint));
    },
  };
}

interface AddRequest {
  readonly oldSize: number;
  readonly proof: readonly Buffer[];
  readonly note: Buffer;
  readonly origin: string;
}

/** Null when it has not the form. */
function parseRequest(body: Buffer): AddRequest | null {
  const end = body.indexOf('\n\n');
  const [first = '', ...lines] = body.subarray(0, Math.max(end, 0)).toString('latin1').split('\n');
  const oldSize = /^old (0|[1-9]\d{0,15})$/.exec(first)?.[1];
  const proof = lines.map(decodeBase64);
  const isForm =
    oldSize !== undefined && lines.length < REQUEST_HEAD_LINES_MAX && Number.isSafeInteger(Number(oldSize));
  if (!isForm || proof.some((hashed) => hashed?.length !== HASH_BYTES)) return null;
  const note = body.subarray(end + 2);
  try {
    const { origin } = parseCheckpoint(parseNote(note).text);
    return { oldSize: Number(oldSize), proof: proof as Buffer[], note, origin };
  } catch {
    // It is no checkpoint: that is the answer.
    return null;
  }
}

function verified(note: Buffer, log: readonly NoteVerifier[]): VerifiedCheckpoint | null {
  try {
    return verifyCheckpoint(note, { log, witnesses: [], quorum: 0 });
  } catch {
    // Its log did not sign it: that is the answer.
    return null;
  }
}

async function cosign(parts: WitnessParts, request: AddRequest, next: VerifiedCheckpoint): Promise<WitnessAnswer> {
  const { disk, dir, signer } = parts;
  const file = join(dir, hash('sha256', next.origin, 'hex'));
  const known = disk.read(file);
  const last = known === null ? { size: 0, root: EMPTY_ROOT } : parseCheckpoint(known.toString());
  if (request.oldSize !== last.size) return { status: 409, mediaType: SIZE_MEDIA_TYPE, body: `${last.size}\n` };
  if (next.size === last.size && !isSameBytes(next.root, last.root))
    return { status: 409, mediaType: SIZE_MEDIA_TYPE, body: `${last.size}\n` };
  if (!continues(last, next, request.proof)) return plain(422, 'the proof of consistency does not hold');
  const { text } = next.note;
  await disk.replaceWhole(file, Buffer.from(text));
  await disk.sync([file], dir);
  return {
    status: 200,
    mediaType: 'text/plain; charset=utf-8',
    body: signatureLine(signer.name, signer.id, signer.sign(text)),
  };
}

function continues(
  last: { readonly size: number; readonly root: Buffer },
  next: VerifiedCheckpoint,
  proof: readonly Buffer[],
): boolean {
  try {
    const [fromRoot, toRoot] = [last.root, next.root];
    verifyConsistency({ from: BigInt(last.size), to: BigInt(next.size), fromRoot, toRoot, proof });
    return true;
  } catch {
    // The proof does not hold: that is the answer.
    return false;
  }
}

function plain(status: WitnessAnswer['status'], body: string): WitnessAnswer {
  return { status, mediaType: 'text/plain; charset=utf-8', body: `${body}\n` };
}
