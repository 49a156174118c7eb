import { createHash, generateKeyPairSync, sign as cryptoSign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { GitFixture } from '../../../test/git-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { ProvenanceError } from '../errors.ts';
import { parseSshKey, parseSshKeyLine } from './ssh-key.ts';
import { isSshSignatureOf, parseSshSignature } from './ssh-signature.ts';
import { sshString } from './ssh-wire.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_SSH', exit: 4 });
const message = Buffer.from('a message');

const fields = (...parts: readonly (string | Uint8Array)[]): Buffer =>
  Buffer.concat(parts.map((part) => sshString(part)));
const uint32 = (number: number): Buffer => Buffer.from([0, 0, 0, number]);
const sha256 = (bytes: string | Uint8Array): Buffer => createHash('sha256').update(bytes).digest();

const pair = generateKeyPairSync('ed25519');
const raw = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
const keyBlob = fields('ssh-ed25519', raw);

function armor(blob: Buffer): Buffer {
  const lines = blob.toString('base64').replaceAll(/(.{70})/g, '$1\n');
  return Buffer.from(`-----BEGIN SSH SIGNATURE-----\n${lines}\n-----END SSH SIGNATURE-----\n`);
}

/** A signature with any of its parts replaced. */
function signatureWith({
  magic = 'SSHSIG',
  version = 1,
  key = keyBlob,
  namespace = 'git',
  reserved = '',
  hash = 'sha512',
  algorithm = 'ssh-ed25519',
  end = '',
}): Buffer {
  const digest = createHash(hash === 'md5' ? 'md5' : hash)
    .update(message)
    .digest();
  const signed = Buffer.concat([Buffer.from('SSHSIG'), fields(namespace, '', hash, digest)]);
  const signature = fields(algorithm, cryptoSign(null, signed, pair.privateKey));
  const head = Buffer.concat([Buffer.from(magic), uint32(version)]);
  return armor(Buffer.concat([head, fields(key, namespace, reserved, hash, signature), Buffer.from(end)]));
}

const isGood = (armored: Uint8Array): boolean => isSshSignatureOf(parseSshSignature(armored), message);

it('verifies what was signed, and nothing else', () => {
  expect(isGood(signatureWith({}))).toBe(true);
  expect(isGood(signatureWith({ hash: 'sha256' }))).toBe(true);
  // Like ssh-keygen: version and the reserved field are not signed, and say nothing yet.
  expect(isGood(signatureWith({ version: 0, reserved: 'x' }))).toBe(true);
  expect(isSshSignatureOf(parseSshSignature(signatureWith({})), Buffer.from('other'))).toBe(false);
  expect(isGood(signatureWith({ algorithm: 'ssh-rsa' }))).toBe(false);
});

it.each([
  ['another magic', signatureWith({ magic: 'SSHSIX' })],
  ['a later version', signatureWith({ version: 2 })],
  ['a weak hash', signatureWith({ hash: 'md5' })],
  ['bytes after its end', signatureWith({ end: 'x' })],
  ['a key of another type', signatureWith({ key: fields('ssh-dss', raw) })],
  ['a key that is too short', signatureWith({ key: fields('ssh-ed25519', raw.subarray(1)) })],
  ['bytes after its key', signatureWith({ key: Buffer.concat([keyBlob, raw]) })],
  ['no armor', Buffer.from('SSHSIG')],
  ['no base64', Buffer.from('-----BEGIN SSH SIGNATURE-----\nA\n-----END SSH SIGNATURE-----\n')],
  ['too many bytes', Buffer.alloc(70_000)],
  [
    'a field beyond the limit',
    armor(Buffer.concat([Buffer.from('SSHSIG'), uint32(1), sshString(Buffer.alloc(20_000))])),
  ],
])('refuses a signature with %s', (_, armored) => {
  expect(() => parseSshSignature(armored)).toThrow(refused);
});

it('answers any bytes with a verdict or an error of its own', () => {
  const blob = Buffer.from(signatureWith({}).toString().split('\n').slice(1, -2).join(''), 'base64');
  fc.assert(
    fc.property(fc.nat(blob.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(blob.length), (at, mask, length) => {
      const damaged = Buffer.from(blob);
      damaged.writeUInt8(damaged.readUInt8(at) ^ mask, at);
      try {
        isGood(armor(damaged.subarray(0, length)));
      } catch (error) {
        expect(error).toBeInstanceOf(ProvenanceError);
      }
    }),
  );
});

const rsaBlob = (bits: number, exponent = 65_537): Buffer => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: bits, publicExponent: exponent });
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
  return fields('ssh-rsa', Buffer.from(e, 'base64url'), Buffer.concat([Buffer.alloc(1), Buffer.from(n, 'base64url')]));
};

describe('a key', () => {
  const point = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 7)]);

  it.each([
    ['weak RSA', rsaBlob(1024)],
    ['RSA without a modulus', fields('ssh-rsa', Buffer.from([3]), '')],
    ['RSA with a negative modulus', fields('ssh-rsa', Buffer.from([3]), Buffer.alloc(256, 0xff))],
    ['RSA that is too large', fields('ssh-rsa', Buffer.from([3]), Buffer.alloc(2049, 0x7f))],
    ['RSA with a huge exponent', fields('ssh-rsa', Buffer.alloc(64, 3), Buffer.alloc(256, 0x7f))],
    ['a point that is not on its curve', fields('ecdsa-sha2-nistp256', 'nistp256', point)],
    ['a curve that its type does not name', fields('ecdsa-sha2-nistp256', 'nistp384', point)],
    ['a compressed point', fields('ecdsa-sha2-nistp256', 'nistp256', Buffer.from([2, ...raw]))],
    ['a certificate', fields('ssh-ed25519-cert-v01@openssh.com', raw)],
    ['nothing', Buffer.alloc(0)],
  ])('is refused: %s', (_, blob) => {
    expect(() => parseSshKey(blob)).toThrow(refused);
  });

  it('is read from a line with a comment, and refused when line and key differ', () => {
    const base64 = keyBlob.toString('base64');
    expect(parseSshKeyLine(`ssh-ed25519 ${base64} ada@example.com\n`).type).toBe('ssh-ed25519');
    expect(() => parseSshKeyLine(`ssh-rsa ${base64}`)).toThrow(refused);
    expect(() => parseSshKeyLine('ssh-ed25519')).toThrow(refused);
    expect(() => parseSshKeyLine(`ssh-ed25519 ${base64.slice(0, -1)}!`)).toThrow(refused);
  });
});

describe.skipIf(needs('ssh-keygen', 'git'))('as ssh-keygen sees it', () => {
  const check = (fixture: GitFixture, armored: Buffer): boolean => {
    const path = join(fixture.root, 'signature');
    writeFileSync(path, armored);
    const args = ['-Y', 'check-novalidate', '-n', 'git', '-s', path];
    return fixture.try('ssh-keygen', args, { input: message }).status === 0;
  };
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const ecPoint = ec.publicKey.export({ type: 'spki', format: 'der' }).subarray(-65);
  const flagsAndCounter = Buffer.from([1, 0, 0, 0, 7]);

  /** A number as SSH writes it: no zeros before it, but one where it would look negative. */
  const mpint = (bytes: Buffer): Buffer => {
    const start = bytes.findIndex((byte) => byte !== 0);
    const number = bytes.subarray(start);
    return (number[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.alloc(1), number]) : number;
  };
  const wrap = (key: Buffer, makeSignature: (signed: Buffer) => Buffer): Buffer => {
    const digest = createHash('sha512').update(message).digest();
    const signed = Buffer.concat([Buffer.from('SSHSIG'), fields('git', '', 'sha512', digest)]);
    const head = Buffer.concat([Buffer.from('SSHSIG'), uint32(1)]);
    return armor(Buffer.concat([head, fields(key, 'git', '', 'sha512', makeSignature(signed))]));
  };
  const ecdsa = (signed: Buffer): readonly [Buffer, Buffer] => {
    const bytes = cryptoSign('sha256', signed, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
    return [mpint(bytes.subarray(0, 32)), mpint(bytes.subarray(32))];
  };
  const ofToken = (signed: Buffer): Buffer => Buffer.concat([sha256('ssh:'), flagsAndCounter, sha256(signed)]);

  it('verifies keys in security tokens, with flags and counter', () => {
    using fixture = new GitFixture();
    const type = 'sk-ssh-ed25519@openssh.com';
    const ed25519 = wrap(fields(type, raw, 'ssh:'), (signed) =>
      Buffer.concat([fields(type, cryptoSign(null, ofToken(signed), pair.privateKey)), flagsAndCounter]),
    );
    const otherFlags = wrap(fields(type, raw, 'ssh:'), (signed) =>
      Buffer.concat([fields(type, cryptoSign(null, ofToken(signed), pair.privateKey)), Buffer.from([0, 0, 0, 0, 7])]),
    );
    const ecType = 'sk-ecdsa-sha2-nistp256@openssh.com';
    const p256 = wrap(fields(ecType, 'nistp256', ecPoint, 'ssh:'), (signed) =>
      Buffer.concat([fields(ecType, fields(...ecdsa(ofToken(signed)))), flagsAndCounter]),
    );
    expect([ed25519, otherFlags, p256].map(isGood)).toEqual([true, false, true]);
    expect([ed25519, otherFlags, p256].map((armored) => check(fixture, armored))).toEqual([true, false, true]);
  });

  it('verifies ECDSA whatever zeros its numbers begin with, and refuses numbers that are too large', () => {
    using fixture = new GitFixture();
    const type = 'ecdsa-sha2-nistp256';
    const key = fields(type, 'nistp256', ecPoint);
    const padded = wrap(key, (signed) => {
      const [r, s] = ecdsa(signed);
      return fields(type, fields(Buffer.concat([Buffer.alloc(1), r]), s));
    });
    const long = wrap(key, (signed) => fields(type, fields(Buffer.alloc(40, 1), ecdsa(signed)[1])));
    const zero = wrap(key, (signed) => fields(type, fields('', ecdsa(signed)[1])));
    expect([padded, long, zero].map(isGood)).toEqual([true, false, false]);
    expect([padded, long, zero].map((armored) => check(fixture, armored))).toEqual([true, false, false]);
    expect(isGood(wrap(key, (signed) => fields('ssh-ed25519', fields(...ecdsa(signed)))))).toBe(false);
  });

  it('refuses RSA with SHA-1', () => {
    using fixture = new GitFixture();
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
    const modulus = Buffer.from(n, 'base64url');
    const key = fields('ssh-rsa', Buffer.from(e, 'base64url'), mpint(modulus));
    const signedWith = (algorithm: string, hash: string): Buffer =>
      wrap(key, (signed) => fields(algorithm, cryptoSign(hash, signed, privateKey)));
    const all = [
      signedWith('rsa-sha2-512', 'sha512'),
      signedWith('ssh-rsa', 'sha1'),
      signedWith('rsa-sha2-512', 'sha1'),
    ];
    expect(all.map(isGood)).toEqual([true, false, false]);
    expect(all.map((armored) => check(fixture, armored))).toEqual([true, false, false]);
    expect(isGood(wrap(key, () => fields('rsa-sha2-512', Buffer.alloc(257, 1))))).toBe(false);
  });
});
