// Text that keys have signed, line by line. @source https://c2sp.org/signed-note
import { exitStatus, KIB } from '../base/index.ts';
import { LedgerError } from './journal.ts';
import type { NoteSigner, NoteVerifier } from './note-key.ts';

/** Largest note that is read: a checkpoint with sixteen signatures has 3 KiB. */
export const NOTE_BYTES_MAX = 64 * KIB;
/** Signatures of one note that are looked at; each from a known key costs a verification. */
const SIGNATURES_MAX = 100;
const KEY_ID_BYTES = 4;
/** Longer ones are of kinds that nobody here knows. */
const SIGNATURE_CHARS_MAX = 8 * KIB;
const MARK = '— ';

/** One signature line. */
export interface NoteSignature {
  readonly name: string;
  /** The first four bytes, big-endian: which key and kind it claims to be of. */
  readonly keyId: number;
  readonly bytes: Buffer;
  /** The line itself, without its line break. */
  readonly line: string;
}

/** A note as it was read; nothing in it is verified. */
export interface SignedNote {
  /** What is signed, with its last line break. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A signature that holds. */
export interface VerifiedSignature {
  readonly verifier: NoteVerifier;
  readonly signature: NoteSignature;
  /** When a witness signed, Unix seconds; null for kinds without a time. */
  readonly timestamp: number | null;
}

/**
 * Parses a note.
 *
 * @throws LedgerError LEDGER_NOTE
 */
export function parseNote(bytes: Uint8Array): SignedNote {
  if (bytes.length > NOTE_BYTES_MAX) throw badNote(`it has ${bytes.length} bytes; at most ${NOTE_BYTES_MAX} are read`);
  const note = decodeUtf8(bytes);
  const fault = Array.from(note).find((character) => character < ' ' && character !== '\n');
  if (fault !== undefined) throw badNote('it holds a control character');
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n') || end + 2 >= note.length)
    throw badNote('it has no signature after an empty line');
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > SIGNATURES_MAX) throw badNote(`it has more than ${SIGNATURES_MAX} signatures`);
  return { text: note.slice(0, end + 1), signatures: lines.map(parseSignatureLine) };
}

/**
 * Parses signature lines alone, as a witness answers with them.
 *
 * @throws LedgerError LEDGER_NOTE
 */
export function parseSignatureLines(bytes: Uint8Array): readonly NoteSignature[] {
  if (bytes.length > NOTE_BYTES_MAX) throw badNote('there are too many signatures');
  const text = decodeUtf8(bytes);
  if (!text.endsWith('\n')) throw badNote('its last line does not end');
  return text.slice(0, -1).split('\n').slice(0, SIGNATURES_MAX).map(parseSignatureLine);
}

/**
 * Verifies a note. Signatures of unknown keys are ignored; one of a known key that does not hold spoils the note.
 *
 * @returns the signatures that hold, one a key, at least one
 * @throws LedgerError LEDGER_SIGNATURE
 */
export function verifyNote(note: SignedNote, verifiers: readonly NoteVerifier[]): readonly VerifiedSignature[] {
  const verified = new Map<NoteVerifier, VerifiedSignature>();
  for (const signature of note.signatures) {
    // attacker-controlled: a key is known by name and id together.
    const verifier = verifiers.find(({ name, id }) => name === signature.name && id === signature.keyId);
    if (verifier === undefined || verified.has(verifier)) continue;
    const verdict = verifier.verify(note.text, signature.bytes);
    if (verdict === null) throw badSignature(`the signature by ${verifier.name} does not hold`);
    verified.set(verifier, { verifier, signature, timestamp: verdict.timestamp });
  }
  if (verified.size > 0) return [...verified.values()];
  throw badSignature('none of its signatures is by a key that is known here');
}

/**
 * Signs a text.
 *
 * @param text ends with a line break
 * @throws LedgerError LEDGER_NOTE
 */
export function signNote(text: string, signers: readonly NoteSigner[]): Buffer {
  const lines = signers.map((signer) => signatureLine(signer.name, signer.id, signer.sign(text)));
  const note = Buffer.from(`${text}\n${lines.join('')}`);
  parseNote(note);
  return note;
}

/** A signature line with its line break. */
export function signatureLine(name: string, keyId: number, signature: Uint8Array): string {
  const bytes = Buffer.alloc(KEY_ID_BYTES + signature.length);
  bytes.writeUInt32BE(keyId);
  bytes.set(signature, KEY_ID_BYTES);
  return `${MARK}${name} ${bytes.toString('base64')}\n`;
}

/** Whether a text can name a key: no spaces, no plus, not empty. */
export function isKeyName(name: string): boolean {
  // U+0085 counts as a space in Unicode, and not in JavaScript.
  return name !== '' && !/[\s\u0085+]/u.test(name);
}

function parseSignatureLine(line: string): NoteSignature {
  const [name = '', encoded = '', ...rest] = line.startsWith(MARK) ? line.slice(MARK.length).split(' ') : [];
  const bytes = encoded.length > SIGNATURE_CHARS_MAX ? null : decodeBase64(encoded);
  if (rest.length > 0 || !isKeyName(name) || bytes === null || bytes.length <= KEY_ID_BYTES)
    throw badNote('a line among its signatures is none');
  return { name, keyId: bytes.readUInt32BE(), bytes: bytes.subarray(KEY_ID_BYTES), line };
}

/** Decodes base64 with padding, in its one form; null for anything else. @source RFC 4648, section 4 */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw badNote('it is not valid UTF-8', error);
  }
}

function badNote(why: string, cause?: unknown): LedgerError {
  return new LedgerError('LEDGER_NOTE', `the signed note cannot be read: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'A note is text, an empty line, and lines that begin with a dash, a key name and base64.',
    cause,
  });
}

function badSignature(why: string): LedgerError {
  return new LedgerError('LEDGER_SIGNATURE', `the signed note is not signed as it must be: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Give the public key of the log or witness (NAME+ID+BASE64) as its operator publishes it.',
  });
}
