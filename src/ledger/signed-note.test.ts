import { createHash } from 'node:crypto';

import { describe, expect, it } from 'vitest';

import { checkpointText, parseCheckpoint, verifyCheckpoint } from './checkpoint.ts';
import { makeSignerKey, parseCosignerKey, parseSignerKey, parseVerifierKey } from './note-key.ts';
import { parseNote, parseSignatureLines, signatureLine, signNote, verifyNote } from './signed-note.ts';
import { EMPTY_ROOT, hashLeaf } from './tree-hash.ts';

// The examples of Go's golang.org/x/mod/sumdb/note.
const GO_SECRET = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const GO_PUBLIC = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const GO_NOTE = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`;

const NOW = 1_679_315_147;
const log = parseSignerKey(makeSignerKey('example.com/log'));
const other = parseSignerKey(makeSignerKey('example.com/log'));
const witness = parseCosignerKey(makeSignerKey('witness.example/w1'), () => NOW);

const text = checkpointText({ origin: 'example.com/log', size: 1, root: hashLeaf(Buffer.from('a')), extensions: [] });
const code = (name: string): unknown => expect.objectContaining({ code: name, exit: 4 });

describe('a signed note', () => {
  it('is what Go signs and verifies', () => {
    expect(signNote(parseNote(Buffer.from(GO_NOTE)).text, [parseSignerKey(GO_SECRET)]).toString()).toBe(GO_NOTE);
    const [signature] = verifyNote(parseNote(Buffer.from(GO_NOTE)), [parseVerifierKey(GO_PUBLIC)]);
    expect(signature).toMatchObject({ timestamp: null, verifier: { name: 'PeterNeumann', text: GO_PUBLIC } });
  });

  it('is verified by one known key among unknown ones, and each key counts once', () => {
    const note = signNote(text, [other, log, log]);
    const verified = verifyNote(parseNote(note), [log.verifier]);
    expect(verified.map(({ verifier }) => verifier)).toEqual([log.verifier]);
  });

  it('is refused when a known key did not sign this text, or no known key signed at all', () => {
    const note = parseNote(signNote(text, [log]));
    expect(() => verifyNote({ ...note, text: `${text}more\n` }, [log.verifier])).toThrow(code('LEDGER_SIGNATURE'));
    expect(() => verifyNote(note, [other.verifier])).toThrow(code('LEDGER_SIGNATURE'));
    expect(() => verifyNote(note, [])).toThrow(code('LEDGER_SIGNATURE'));
    const spoiled = { ...note, signatures: [{ ...note.signatures[0]!, bytes: Buffer.alloc(64) }, ...note.signatures] };
    expect(() => verifyNote(spoiled, [log.verifier])).toThrow('does not hold');
  });

  it.each([
    ['nothing', ''],
    ['no signature', 'text\n\n'],
    ['no empty line', 'text\n— a AAAAAAA=\n'],
    ['no last line break', 'text\n\n— a AAAAAAA='],
    ['a control character', 'te\tt\n\n— a AAAAAAA=\n'],
    ['a signature without a dash', 'text\n\na AAAAAAA=\n'],
    ['another dash', 'text\n\n- a AAAAAAA=\n'],
    ['a name with a plus', 'text\n\n— a+b AAAAAAA=\n'],
    ['no name', 'text\n\n—  AAAAAAA=\n'],
    ['base64 without padding', 'text\n\n— a AAAAAAA\n'],
    ['base64 with bits that mean nothing', 'text\n\n— a AAAAAAB=\n'],
    ['a signature of no bytes', 'text\n\n— a AAAAAA==\n'],
    ['a third word', 'text\n\n— a AAAAAAA= b\n'],
    ['too many signatures', `text\n\n${'— a AAAAAAA=\n'.repeat(101)}`],
    ['a signature that is too long', `text\n\n— a ${'A'.repeat(9000)}\n`],
    ['more bytes than a note has', `${'x'.repeat(70_000)}\n\n— a AAAAAAA=\n`],
  ])('with %s cannot be read', (_, note) => {
    expect(() => parseNote(Buffer.from(note))).toThrow(code('LEDGER_NOTE'));
  });

  it('must be UTF-8, and may hold empty lines and up to a hundred signatures', () => {
    expect(() => parseNote(Buffer.from([0xff, 0x0a, 0x0a]))).toThrow(code('LEDGER_NOTE'));
    const note = parseNote(Buffer.from(`a\n\nb\n\n${'— a AAAAAAA=\n'.repeat(100)}`));
    expect([note.text, note.signatures.length]).toEqual(['a\n\nb\n', 100]);
  });

  it('is not made of a text that cannot be read again', () => {
    expect(() => signNote('a\rb\n', [log])).toThrow(code('LEDGER_NOTE'));
  });

  it('takes the lines that a witness answers with', () => {
    const lines = signatureLine(witness.name, witness.id, witness.sign(text));
    expect(parseSignatureLines(Buffer.from(lines))).toHaveLength(1);
    expect(() => parseSignatureLines(Buffer.from(lines.trim()))).toThrow(code('LEDGER_NOTE'));
    expect(() => parseSignatureLines(Buffer.alloc(70_000, 'x'))).toThrow(code('LEDGER_NOTE'));
  });
});

describe('a key', () => {
  const usage = (): unknown => expect.objectContaining({ code: 'LEDGER_KEY', exit: 2 });

  it('is read in the one form that it is written in', () => {
    expect(parseVerifierKey(log.verifier.text).text).toBe(log.verifier.text);
    expect(parseVerifierKey(`${witness.verifier.text}\n`)).toMatchObject({ kind: 'cosignature', id: witness.id });
  });

  it.each([
    ['nothing', ''],
    ['no id', 'name+AXo'],
    ['another id', GO_PUBLIC.replace('c74f20a3', 'c74f20a4')],
    ['an id in capitals', GO_PUBLIC.replace('c74f20a3', 'C74F20A3')],
    ['a kind that is not known', `n+00000000+${Buffer.alloc(33, 2).toString('base64')}`],
    ['too few bytes', `n+00000000+${Buffer.alloc(32, 1).toString('base64')}`],
    ['a name with a space', GO_PUBLIC.replace('PeterNeumann', 'Peter Neumann')],
    ['too many characters', `${'n'.repeat(2000)}+00000000+AAAA`],
  ])('with %s is refused', (_, key) => {
    expect(() => parseVerifierKey(key)).toThrow(usage());
  });

  it.each([
    ['a public one', GO_PUBLIC],
    ['one with another id', GO_SECRET.replace('c74f20a3', '00000000')],
    ['one of another kind', `PRIVATE+KEY+n+00000000+${Buffer.alloc(33, 4).toString('base64')}`],
    ['one that is too long', `PRIVATE+KEY+${'n'.repeat(2000)}+00000000+AAAA`],
  ])('does not sign when it is %s', (_, key) => {
    expect(() => parseSignerKey(key)).toThrow(usage());
  });

  it.each(['', 'a b', 'a+b', 'a\u0085b', 'a\u00a0b'])('cannot be named %j', (name) => {
    expect(() => makeSignerKey(name)).toThrow(usage());
  });
});

describe('a checkpoint', () => {
  const policy = { log: [log.verifier], witnesses: [witness.verifier], quorum: 0 };

  it('is read with its extensions when its log signed it', () => {
    const extended = `${text}extension of the log\n`;
    expect(verifyCheckpoint(signNote(extended, [log]), policy)).toMatchObject({
      origin: 'example.com/log',
      size: 1,
      extensions: ['extension of the log'],
    });
  });

  it('counts the witnesses that cosigned it, with their time', () => {
    const note = signNote(text, [log, witness]);
    const { signatures } = verifyCheckpoint(note, { ...policy, quorum: 1 });
    expect(signatures.map(({ timestamp }) => timestamp)).toEqual([null, NOW]);
    expect(() => verifyCheckpoint(note, { ...policy, quorum: 2 })).toThrow(code('LEDGER_QUORUM'));
    expect(() => verifyCheckpoint(signNote(text, [log]), { ...policy, quorum: 1 })).toThrow(code('LEDGER_QUORUM'));
  });

  it('counts a witness under two names once', () => {
    const secret = makeSignerKey('w1');
    const [one, two] = ['w1', 'w2'].map((name) => parseCosignerKey(renamed(secret, name), () => NOW));
    const witnesses = [one!.verifier, two!.verifier];
    const note = signNote(text, [log, one!, two!]);
    expect(() => verifyCheckpoint(note, { log: [log.verifier], witnesses, quorum: 2 })).toThrow(code('LEDGER_QUORUM'));
  });

  it('needs the signature of its own log, not a witness alone, nor a log of another name', () => {
    expect(() => verifyCheckpoint(signNote(text, [witness]), policy)).toThrow(code('LEDGER_SIGNATURE'));
    const foreign = text.replace('example.com/log', 'example.com/other');
    expect(() => verifyCheckpoint(signNote(foreign, [log]), policy)).toThrow(code('LEDGER_SIGNATURE'));
  });

  it('refuses a cosignature of another time or size', () => {
    const bytes = witness.sign(text);
    bytes[7] = (bytes[7] ?? 0) ^ 1;
    expect(witness.verifier.verify(text, bytes)).toBeNull();
    expect(witness.verifier.verify(text, bytes.subarray(1))).toBeNull();
    expect(witness.verifier.verify(text, Buffer.concat([Buffer.alloc(8, 0xff), bytes.subarray(8)]))).toBeNull();
  });

  it.each([
    ['no lines', ''],
    ['no root', 'o\n1\n'],
    ['no origin', `\n1\n${EMPTY_ROOT.toString('base64')}\n`],
    ['a size with a zero before it', `o\n01\n${EMPTY_ROOT.toString('base64')}\n`],
    ['a size beyond what is handled', `o\n9007199254740993\n${EMPTY_ROOT.toString('base64')}\n`],
    ['a negative size', `o\n-1\n${EMPTY_ROOT.toString('base64')}\n`],
    ['a root of another length', 'o\n1\nAAAA\n'],
    ['a root for nothing that is not the empty one', `o\n0\n${Buffer.alloc(32).toString('base64')}\n`],
    ['an empty extension', `o\n1\n${EMPTY_ROOT.toString('base64')}\n\nx\n`],
    ['no last line break', `o\n1\n${EMPTY_ROOT.toString('base64')}`],
  ])('with %s is refused', (_, body) => {
    expect(() => parseCheckpoint(body)).toThrow(code('LEDGER_CHECKPOINT'));
  });
});

/** The same secret under another name, with the id that goes with it. */
function renamed(secret: string, name: string): string {
  const [publicPart, secretPart] = [parseSignerKey(secret).verifier.text, secret].map((text) => text.split('+'));
  const typed = Buffer.from(publicPart?.slice(2).join('+') ?? '', 'base64');
  const id = createHash('sha256').update(`${name}\n`).update(typed).digest('hex').slice(0, 8);
  return `PRIVATE+KEY+${name}+${id}+${secretPart?.slice(4).join('+')}`;
}
