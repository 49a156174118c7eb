import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { GitFixture, type SshKeyFile, type SshKeyType, withSignature } from '../../../test/git-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { type CommitSignature, verifyCommit } from './commit-signature.ts';
import { parseCommit } from './git-commit.ts';
import { type KnownSigners, parseSigners } from './known-signers.ts';

/** After all that the tests sign. */
const NOW_MS = Date.now() + 3_600_000;
const FLIPS_MS_MAX = 180_000;

async function signersOf(allowedSigners: string, openpgpKeys: readonly string[] = []): Promise<KnownSigners> {
  return parseSigners({ allowedSigners, openpgpKeys, identities: [] });
}

/** Our verdict; what cannot be parsed is verified by nobody. */
async function verdictOf(content: Buffer, signers: KnownSigners): Promise<CommitSignature['status'] | 'unreadable'> {
  let commit;
  try {
    commit = parseCommit(content);
  } catch {
    return 'unreadable';
  }
  return (await verifyCommit(commit, signers, NOW_MS)).status;
}

/** Both verdicts on the same bytes must agree; the one of ours is returned. */
async function agreed(fixture: GitFixture, content: Buffer, signers: KnownSigners): Promise<string> {
  const ours = await verdictOf(content, signers);
  const gits = fixture.isVerified(fixture.writeCommit(content));
  expect({ ours: ours === 'verified', content: content.toString('latin1') }).toEqual({
    ours: gits,
    content: content.toString('latin1'),
  });
  return ours;
}

/** Every byte of the header with its lowest bit turned, one at a time. */
function flippedHeaders(content: Buffer): Buffer[] {
  return Array.from({ length: content.indexOf('\n\n') + 1 }, (_, at) => {
    const flipped = Buffer.from(content);
    flipped.writeUInt8(content.readUInt8(at) ^ 1, at);
    return flipped;
  });
}

describe.skipIf(needs('git', 'ssh-keygen'))('signatures by SSH, as git verify-commit sees them', () => {
  let fixture: GitFixture;
  let keys: Record<SshKeyType, SshKeyFile>;
  let list: string;
  let signers: KnownSigners;

  const types = ['ed25519', 'ecdsa', 'ecdsa-384', 'ecdsa-521', 'rsa'] as const;

  beforeAll(async () => {
    fixture = new GitFixture();
    const made = [...types, 'rsa-1024' as const].map((type) => [type, fixture.makeSshKey(type)]);
    keys = Object.fromEntries(made) as typeof keys;
    list = fixture.allow(...types.map((type) => `ada@example.com ${keys[type].line}`));
    signers = await signersOf(list);
  });
  afterAll(() => fixture[Symbol.dispose]());

  const signed = (payload: string, key: SshKeyFile, ...more: readonly string[]): Buffer => {
    const bytes = Buffer.from(payload, 'latin1');
    return withSignature(bytes, fixture.sshSign(bytes, key, 'git', ...more));
  };
  const TREE = 'tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n';
  const ADA = 'Ada <ada@example.com> 1750000000 +0000';
  const PLAIN = `${TREE}author ${ADA}\ncommitter ${ADA}\n`;

  it.each(types)('verifies a commit signed by %s', async (type) => {
    const content = fixture.readCommit(fixture.commit('signed', keys[type]));
    expect(await agreed(fixture, content, signers)).toBe('verified');
    const verdict = await verifyCommit(parseCommit(content), signers, NOW_MS);
    const fingerprint = fixture
      .run('ssh-keygen', ['-lf', `${keys[type].path}.pub`])
      .toString()
      .split(' ')[1];
    expect(verdict).toMatchObject({ format: 'ssh', key: fingerprint, principal: 'ada@example.com' });
  });

  it('verifies both hashes that ssh-keygen signs with', async () => {
    for (const hash of ['sha256', 'sha512'])
      expect(await agreed(fixture, signed(`${PLAIN}\nx\n`, keys.rsa, '-O', `hashalg=${hash}`), signers)).toBe(
        'verified',
      );
  });

  it('says so of a commit without a signature', async () => {
    expect(await agreed(fixture, fixture.readCommit(fixture.commit('plain')), signers)).toBe('unsigned');
  });

  it('does not know a good signature by a key that is not listed', async () => {
    const content = fixture.readCommit(fixture.commit('stranger', fixture.makeSshKey('ed25519', 'stranger')));
    expect(await agreed(fixture, content, signers)).toBe('unknown-key');
  });

  it('refuses weak RSA, which git still takes', async () => {
    const content = fixture.readCommit(fixture.commit('weak', keys['rsa-1024']));
    expect(await verdictOf(content, signers)).toBe('bad');
  });

  it('refuses a signature made for something else', async () => {
    const payload = Buffer.from(`${PLAIN}\nx\n`);
    const content = withSignature(payload, fixture.sshSign(payload, keys.ed25519, 'file'));
    expect(await agreed(fixture, content, signers)).toBe('bad');
  });

  it('refuses a signature moved from another commit', async () => {
    const other = Buffer.from(`${PLAIN}\nother\n`);
    const content = withSignature(Buffer.from(`${PLAIN}\nx\n`), fixture.sshSign(other, keys.ed25519));
    expect(await agreed(fixture, content, signers)).toBe('bad');
  });

  it('refuses what is in another armor, or in none', async () => {
    for (const armor of ['-----BEGIN SIGNED MESSAGE-----\nAAAA\n-----END SIGNED MESSAGE-----', 'AAAA', '']) {
      const content = withSignature(Buffer.from(`${PLAIN}\nx\n`), Buffer.from(armor));
      expect(await agreed(fixture, content, signers)).toBe('bad');
    }
  });

  it.each([
    ['NUL bytes in the message', `${PLAIN}\na\0b\n`],
    ['text that is not UTF-8', `${TREE}author J\xf6rg <j@x> 1 +0000\ncommitter J\xf6rg <j@x> 1 +0000\n\n\xff\xfe\n`],
    ['no message', PLAIN.trimEnd() + '\n\n'],
    ['headers of later versions', `${PLAIN}future one\n two\nHG:extra x\n\nx\n`],
    [
      'parents, authors and trees injected after the committer',
      `${PLAIN}parent ${'a'.repeat(40)}\nauthor B <b> 1 +0000\n${TREE}\nx\n`,
    ],
    [
      'a merged tag with a signature in it',
      `${PLAIN}mergetag object ${'a'.repeat(40)}\n type commit\n gpgsig -----BEGIN\n\nx\n`,
    ],
    ['something like a signature in the message', `${PLAIN}\ngpgsig -----BEGIN SSH SIGNATURE-----\n`],
    ['the committer at second 0', `${TREE}author ${ADA}\ncommitter Ada <ada@example.com> 0 +0000\n\nx\n`],
  ])('verifies a signed commit with %s', async (_, payload) => {
    expect(await agreed(fixture, signed(payload, keys.ed25519), signers)).toBe('verified');
  });

  it('reads two signature headers as one after the other, as git does', async () => {
    const payload = Buffer.from(`${PLAIN}\nx\n`);
    const good = fixture.sshSign(payload, keys.ed25519);
    const evil = fixture.sshSign(Buffer.from('evil'), keys.ed25519);
    const later = withSignature(withSignature(payload, good), evil);
    const earlier = withSignature(withSignature(payload, evil), good);
    expect(await agreed(fixture, later, signers)).toBe('verified');
    expect(await agreed(fixture, earlier, signers)).toBe('bad');
  });

  it('leaves signatures of the other object format out of what was signed', async () => {
    const payload = Buffer.from(`${PLAIN}\nx\n`);
    const good = fixture.sshSign(payload, keys.ed25519);
    const both = withSignature(withSignature(payload, Buffer.from('x\ny'), 'gpgsig-sha256'), good);
    expect(await agreed(fixture, both, signers)).toBe('verified');
    const alone = withSignature(payload, good, 'gpgsig-sha256');
    expect(await agreed(fixture, alone, signers)).toBe('unsigned');
    const like = withSignature(withSignature(payload, good), Buffer.from('x\ny'), 'gpgsignature');
    expect(await agreed(fixture, like, signers)).toBe('verified');
  });

  it('refuses a signed tag in the place of a commit', async () => {
    const tag = Buffer.from(`object ${'a'.repeat(40)}\ntype commit\ntag v1\ntagger ${ADA}\n\nx\n`);
    expect(await agreed(fixture, withSignature(tag, fixture.sshSign(tag, keys.ed25519)), signers)).toBe('unreadable');
  });

  it('gives the verdict of git on white space and text around the armor', async () => {
    const payload = Buffer.from(`${PLAIN}\nx\n`);
    const armor = fixture.sshSign(payload, keys.ed25519).toString();
    const variants: readonly (readonly [string, string])[] = [
      [armor.replace('U1NI', 'U1 \tNI'), 'verified'],
      [`${armor}and more\n${armor}`, 'verified'],
      [armor.replaceAll('\n', '\r\n'), 'bad'],
      [armor.replace('-----\nU', '-----U'), 'bad'],
      [armor.replace('-----BEGIN', ' -----BEGIN'), 'bad'],
      [armor.replace('\n-----END', '-----END'), 'bad'],
      [armor.replace('-----END', '====\n-----END'), 'bad'],
      [armor.replace('U1NI', 'U1-_NI'), 'bad'],
      [armor.replace('U1NI', 'U1\0NI'), 'unreadable'],
    ];
    for (const [text, verdict] of variants)
      expect(await agreed(fixture, withSignature(payload, Buffer.from(text)), signers)).toBe(verdict);
  });

  it.each([
    ['valid until later', 'valid-before="20300101Z"', 'verified'],
    ['expired', 'valid-before="20250101Z"', 'bad'],
    ['expired a second before', 'valid-before="20250615150639Z"', 'bad'],
    ['valid to this second', 'valid-before="20250615150640Z"', 'verified'],
    ['valid from this second', 'valid-after="20250615150640Z"', 'verified'],
    ['not yet valid', 'valid-after="20250615150641Z"', 'bad'],
    ['for git', 'namespaces="file,git"', 'verified'],
    ['for all but git', 'namespaces="*,!git"', 'bad'],
    ['for files', 'namespaces="file"', 'bad'],
    ['of several options', 'Namespaces="g?t",valid-after="202501010000",valid-before="20300101"', 'verified'],
  ])('gives the verdict of git on a key %s', async (_, options, status) => {
    const text = fixture.allow(`ada@example.com ${options} ${keys.ed25519.line}`);
    const verdict = await agreed(fixture, signed(`${PLAIN}\nx\n`, keys.ed25519), await signersOf(text));
    fixture.allow(...list.trimEnd().split('\n'));
    expect(verdict).toBe(status);
  });

  it.each([
    ['patterns', ['*@example.com,!eve@example.com KEY'], 'verified'],
    ['quoted principals', ['"ada@example.com" KEY'], 'verified'],
    ['another principal', ['grace@example.com KEY'], 'verified'],
    ['an expired line before a good one', ['a@x valid-before="20200101" KEY', 'b@x KEY'], 'verified'],
    ['a line for files before one for git', ['a@x namespaces="file" KEY', 'b@x KEY'], 'bad'],
    ['a line for files before one for git and the same person', ['a@x namespaces="file" KEY', '*@x KEY'], 'verified'],
    ['an exclusion alone', ['!a@x KEY'], 'bad'],
    ['comments and empty lines', ['# x', '', '  a@x   KEY a comment'], 'verified'],
  ])('gives the verdict of git on %s', async (_, lines, status) => {
    const text = fixture.allow(...lines.map((line) => line.replace('KEY', keys.ed25519.line)));
    const verdict = await agreed(fixture, signed(`${PLAIN}\nx\n`, keys.ed25519), await signersOf(text));
    fixture.allow(...list.trimEnd().split('\n'));
    expect(verdict).toBe(status);
  });

  it(
    'gives the verdict of git when any byte of the header is flipped',
    async () => {
      const verdicts = new Map<string, number>();
      for (const content of flippedHeaders(signed(`${PLAIN}\nx\n`, keys.ed25519))) {
        const verdict = await agreed(fixture, content, signers);
        verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      }
      expect([...verdicts.keys()].toSorted()).toContain('bad');
      expect(verdicts.get('bad')).toBeGreaterThan(100);
    },
    FLIPS_MS_MAX,
  );
});

describe.skipIf(needs('git', 'gpg'))('signatures by OpenPGP, as git verify-commit sees them', () => {
  let fixture: GitFixture;
  let fingerprint: string;
  let signers: KnownSigners;

  beforeAll(async () => {
    fixture = new GitFixture();
    fingerprint = fixture.makeGpgKey('Ada <ada@example.com>');
    signers = await signersOf('', [fixture.exportGpgKey(fingerprint)]);
  });
  afterAll(() => fixture[Symbol.dispose]());

  it('verifies a commit and says by whose key', async () => {
    const content = fixture.readCommit(fixture.commit('signed', fingerprint));
    expect(await agreed(fixture, content, signers)).toBe('verified');
    expect(await verifyCommit(parseCommit(content), signers, NOW_MS)).toMatchObject({
      format: 'openpgp',
      key: fingerprint,
      principal: 'Ada <ada@example.com>',
    });
  });

  it.each(['rsa3072', 'nistp256', 'nistp384'])('verifies a commit signed by %s', async (algorithm) => {
    const key = fixture.makeGpgKey(`Ada <${algorithm}@example.com>`, algorithm);
    const content = fixture.readCommit(fixture.commit('signed', key));
    expect(await agreed(fixture, content, await signersOf('', [fixture.exportGpgKey(key)]))).toBe('verified');
  });

  it('does not know a signature by a key that it was not given', async () => {
    const content = fixture.readCommit(fixture.commit('signed', fingerprint));
    const verdict = await verifyCommit(parseCommit(content), await signersOf(''), NOW_MS);
    expect(verdict).toMatchObject({ status: 'unknown-key', key: fingerprint.slice(-16) });
  });

  it('refuses a signature moved from another commit', async () => {
    const [one, other] = ['one', 'other'].map((text) => fixture.readCommit(fixture.commit(text, fingerprint)));
    const { payload } = parseCommit(one ?? Buffer.alloc(0));
    const { signature } = parseCommit(other ?? Buffer.alloc(0));
    expect(await agreed(fixture, withSignature(payload, signature ?? Buffer.alloc(0)), signers)).toBe('bad');
  });

  it('refuses a key that has been revoked since', async () => {
    const key = fixture.makeGpgKey('Eve <eve@example.com>');
    const content = fixture.readCommit(fixture.commit('signed', key));
    const stale = fixture.exportGpgKey(key);
    expect(await agreed(fixture, content, await signersOf('', [stale]))).toBe('verified');
    const revocation = fixture.run('cat', [`${fixture.root}/gnupg/openpgp-revocs.d/${key}.rev`]).toString();
    fixture.run('gpg', ['--import'], { input: revocation.replace(':-----BEGIN', '-----BEGIN') });
    const after = fixture.exportGpgKey(key);
    expect(await agreed(fixture, content, await signersOf('', [after]))).toBe('bad');
    // A copy from before does not make it good again, wherever it stands.
    expect(await verdictOf(content, await signersOf('', [stale, after]))).toBe('bad');
    expect(await verdictOf(content, await signersOf('', [after, stale]))).toBe('bad');
  });

  it('refuses a key that has expired since', async () => {
    const key = fixture.makeGpgKey('Old <old@example.com>', 'ed25519', 'seconds=86400');
    const content = parseCommit(fixture.readCommit(fixture.commit('signed', key)));
    const old = await signersOf('', [fixture.exportGpgKey(key)]);
    expect((await verifyCommit(content, old, NOW_MS + 1000)).status).toBe('verified');
    expect((await verifyCommit(content, old, NOW_MS + 2 * 86_400_000)).status).toBe('bad');
  });

  it('refuses SHA-1, text, several signatures and damaged armor', async () => {
    const payload = parseCommit(fixture.readCommit(fixture.commit('signed', fingerprint))).payload;
    const sign = (...args: readonly string[]): Buffer =>
      fixture.run('gpg', ['--batch', '-u', fingerprint, ...args, '--armor', '--detach-sign'], { input: payload });
    const statusOf = async (armored: Buffer): Promise<string> => verdictOf(withSignature(payload, armored), signers);
    const good = sign();
    expect(await statusOf(good)).toBe('verified');
    expect(await statusOf(sign('--digest-algo', 'SHA1'))).toBe('bad');
    expect(await statusOf(sign('--textmode'))).toBe('bad');
    const binary = [good, sign()].map((armored) => fixture.run('gpg', ['--dearmor'], { input: armored }));
    const twice = Buffer.concat(binary).toString('base64');
    expect(
      await statusOf(Buffer.from(`-----BEGIN PGP SIGNATURE-----\n\n${twice}\n-----END PGP SIGNATURE-----\n`)),
    ).toBe('bad');
    const text = good.toString();
    expect(await statusOf(Buffer.from(text.replace('-----END', '----END')))).toBe('bad');
    expect(await statusOf(Buffer.from(text.replace(/\n=..../, '\n=AAAA')))).toBe('bad');
    expect(await statusOf(Buffer.from(`${text}${'x'.repeat(70_000)}`))).toBe('bad');
    expect(await statusOf(Buffer.from('-----BEGIN PGP SIGNATURE-----\n\nAAAA\n-----END PGP SIGNATURE-----\n'))).toBe(
      'bad',
    );
  });

  it('answers any bytes in an armor with a verdict', async () => {
    const payload = Buffer.from('tree');
    const args = ['--batch', '-u', fingerprint, '--detach-sign'];
    const good = fixture.run('gpg', args, { input: payload });
    const commit = parseCommit(fixture.readCommit(fixture.commit('plain')));
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length)).map(([at, byte, length]) => {
        const damaged = Buffer.from(good);
        damaged.writeUInt8(byte, at);
        return damaged.subarray(0, length);
      }),
    );
    const property = fc.asyncProperty(bytes, async (binary) => {
      const base64 = Buffer.from(binary).toString('base64');
      const signature = Buffer.from(`-----BEGIN PGP SIGNATURE-----\n\n${base64}\n-----END PGP SIGNATURE-----\n`);
      const { status } = await verifyCommit({ ...commit, signature }, signers, NOW_MS);
      expect(['bad', 'unknown-key']).toContain(status);
    });
    await fc.assert(property);
  });

  it(
    'gives the verdict of git when any byte of the header is flipped, and of the armor’s end is stricter',
    async () => {
      const content = fixture.readCommit(fixture.commit('signed', fingerprint));
      // The bits of the last character that mean nothing, the padding and the armor's own check: gpg does without them.
      const end = content.toString('latin1').search(/.=*\n =/);
      const verdicts: string[] = [];
      for (const [at, flipped] of flippedHeaders(content).entries())
        verdicts.push(at < end ? await agreed(fixture, flipped, signers) : await verdictOf(flipped, signers));
      expect(verdicts.filter((verdict) => verdict === 'bad').length).toBeGreaterThan(100);
      expect(verdicts.slice(end)).not.toContain('verified');
    },
    FLIPS_MS_MAX,
  );
});
