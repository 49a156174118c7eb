// Signed heads of a log: how many entries, and the root over them. @source https://c2sp.org/tlog-checkpoint
import { exitStatus } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import type { NoteVerifier } from './note-key.ts';
import { decodeBase64, parseNote, type SignedNote, type VerifiedSignature, verifyNote } from './signed-note.ts';
import { EMPTY_ROOT, HASH_BYTES } from './tree-hash.ts';

/** What a checkpoint says. */
export interface Checkpoint {
  /** Name of the log. */
  readonly origin: string;
  readonly size: number;
  readonly root: Buffer;
  /** Further lines, of the log's own. */
  readonly extensions: readonly string[];
}

/** A checkpoint whose log signed it. */
export interface VerifiedCheckpoint extends Checkpoint {
  readonly note: SignedNote;
  /** By the log, and by those witnesses that are known. */
  readonly signatures: readonly VerifiedSignature[];
}

/** Who may sign for a log, and how many witnesses must have. */
export interface CheckpointPolicy {
  /** Keys of the log; their name is its origin. */
  readonly log: readonly NoteVerifier[];
  readonly witnesses: readonly NoteVerifier[];
  /** Distinct witnesses that must have cosigned; 0 asks for none. */
  readonly quorum: number;
}

/** The text of a checkpoint, which is what is signed. */
export function checkpointText({ origin, size, root, extensions }: Checkpoint): string {
  return [origin, String(size), root.toString('base64'), ...extensions, ''].join('\n');
}

/**
 * Parses the text of a checkpoint.
 *
 * @throws LedgerError LEDGER_CHECKPOINT
 */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', sizeText = '', rootText = '', ...rest] = text.split('\n');
  const extensions = rest.slice(0, -1);
  if (origin === '' || rest.at(-1) !== '' || extensions.includes('')) throw badCheckpoint('it has not the form of one');
  const size = /^(0|[1-9]\d{0,15})$/.test(sizeText) ? Number(sizeText) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw badCheckpoint('its size is no number that can be handled here');
  const root = decodeBase64(rootText);
  if (root?.length !== HASH_BYTES) throw badCheckpoint('its root is no SHA-256');
  if (size === 0 && !root.equals(EMPTY_ROOT)) throw badCheckpoint('its root is not that of the empty tree');
  return { origin, size, root, extensions };
}

/**
 * Reads a signed checkpoint of one log.
 *
 * @throws LedgerError LEDGER_NOTE, LEDGER_SIGNATURE, LEDGER_CHECKPOINT, LEDGER_QUORUM
 */
export function verifyCheckpoint(bytes: Uint8Array, policy: CheckpointPolicy): VerifiedCheckpoint {
  const note = parseNote(bytes);
  const signatures = verifyNote(note, [...policy.log, ...policy.witnesses]);
  const checkpoint = parseCheckpoint(note.text);
  const byLog = signatures.filter(({ verifier }) => policy.log.includes(verifier));
  if (byLog.length === 0 || !byLog.some(({ verifier }) => verifier.name === checkpoint.origin)) {
    throw new LedgerError(
      'LEDGER_SIGNATURE',
      `no key of the log signed this checkpoint of '${checkpoint.origin.slice(0, 80)}'`,
      {
        exit: exitStatus.verificationFailed,
        hint: 'The name of the key and the first line of the checkpoint must be the same.',
      },
    );
  }
  // One key under two names is one witness.
  const witnessed = new Set(
    signatures
      .filter((signature) => !byLog.includes(signature))
      .map(({ verifier }) => verifier.text.split('+').slice(2).join('+')),
  ).size;
  if (witnessed < policy.quorum) throw tooFewWitnesses(witnessed, policy.quorum);
  return { ...checkpoint, note, signatures };
}

function tooFewWitnesses(count: number, quorum: number): LedgerError {
  return new LedgerError(
    'LEDGER_QUORUM',
    `${count} of the ${quorum} witnesses that are needed have cosigned the checkpoint`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'Ask again in a moment: a log collects cosignatures after it has signed.',
    },
  );
}

function badCheckpoint(why: string): LedgerError {
  return new LedgerError('LEDGER_CHECKPOINT', `the checkpoint is not valid: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'A checkpoint is a name, a size, and a root in base64, a line each.',
  });
}
