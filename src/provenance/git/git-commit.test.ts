import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { GitFixture, withSignature } from '../../../test/git-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { parseCommit, splitSignature } from './git-commit.ts';
import { COMMIT_BYTES_MAX } from './git-object.ts';

const ID = 'a'.repeat(40);
const TREE = `tree ${ID}\n`;
const ADA = 'Ada Lovelace <ada@example.com> 1750000000 +0230';
const PLAIN = `${TREE}author ${ADA}\ncommitter ${ADA}\n`;

const parse = (text: string): ReturnType<typeof parseCommit> => parseCommit(Buffer.from(text, 'latin1'));

it('reads every part of a commit', () => {
  const tag = `mergetag object ${ID}\n type commit\n \n x\n`;
  const text = `${TREE}parent ${ID}\nparent ${'b'.repeat(40)}\nauthor ${ADA}\ncommitter G <> 0 -0000\nencoding ISO-8859-1\n${tag}gpgsig one\n two\n\nwhy\n`;
  expect(parse(text)).toMatchObject({
    tree: ID,
    parents: [ID, 'b'.repeat(40)],
    author: { name: 'Ada Lovelace', email: 'ada@example.com', seconds: 1_750_000_000, zone: '+0230' },
    committer: { name: 'G', email: '', seconds: 0, zone: '-0000' },
    encoding: 'ISO-8859-1',
    mergeTags: [Buffer.from(`object ${ID}\ntype commit\n\nx\n`)],
    message: 'why\n',
    signature: Buffer.from('one\ntwo\n'),
    payload: Buffer.from(text.replace('gpgsig one\n two\n', '')),
  });
});

it('reads names in UTF-8, and in Latin 1 where they are not', () => {
  const utf8 = parseCommit(Buffer.from(`${TREE}author Jörg <j> 1 +0000\ncommitter Jörg <j> 1 +0000\n\n`));
  const latin1 = parse(`${TREE}author J\xf6rg <j> 1 +0000\ncommitter J\xf6rg <j> 1 +0000\n\n`);
  expect([utf8.author.name, latin1.author.name]).toEqual(['Jörg', 'Jörg']);
  expect(utf8.id).not.toBe(latin1.id);
});

it('has no signature where the header has none', () => {
  expect(parse(`${PLAIN}\ngpgsig x\n`)).toMatchObject({ signature: null, message: 'gpgsig x\n' });
});

it('refuses what has no end of sizes', () => {
  const refused = expect.objectContaining({ code: 'PROVENANCE_COMMIT', exit: 4 });
  expect(() => parseCommit(Buffer.alloc(COMMIT_BYTES_MAX + 1))).toThrow(refused);
  expect(() => parse(`${TREE}${`parent ${ID}\n`.repeat(1025)}${PLAIN.slice(TREE.length)}\n`)).toThrow(refused);
  expect(() => parse(`${PLAIN}${'x y\n'.repeat(17_000)}\n`)).toThrow(refused);
  expect(() => parse(PLAIN.replace('Ada', 'A'.repeat(5000)))).toThrow(refused);
  expect(() => parse(PLAIN.replace('1750000000', '8640000000001'))).toThrow(refused);
});

it('refuses white space before a date as later versions of git do', () => {
  expect(() => parse(PLAIN.replace('> 17', '>  17'))).toThrow(expect.objectContaining({ code: 'PROVENANCE_COMMIT' }));
});

it('keeps a stranger’s text out of its messages', () => {
  const evil = `tree ${'\x1b[2J'.repeat(100)}\n`;
  expect(() => parse(evil)).toThrow(/^the commit cannot be read: its tree '[ -~]{80}…' is no object id$/);
});

it('answers any bytes with a commit or an error of its own', () => {
  const parts = [
    TREE,
    `parent ${ID}\n`,
    `author ${ADA}\n`,
    `committer ${ADA}\n`,
    'gpgsig x\n',
    ' y\n',
    '\n',
    '\0',
    'x',
  ];
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constantFrom(...parts), fc.string())), (texts) => {
      try {
        expect(parse(PLAIN.slice(0, texts.length * 20) + texts.join('')).parents.length).toBeLessThan(99);
      } catch (error) {
        expect(error).toMatchObject({ code: 'PROVENANCE_COMMIT' });
      }
    }),
  );
});

it('splits any bytes into a signature and the rest, and loses none but headers of signatures', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('gpgsig ', 'gpgsig-sha256 ', ' ', 'x', '\n', 'gpgsig', '\0')), (parts) => {
      const content = Buffer.from(parts.join(''));
      const { payload, signature } = splitSignature(content, 'sha1');
      expect(payload.length + (signature?.length ?? 0)).toBeLessThanOrEqual(content.length);
      // What is left has no signature, so that it cannot be taken out twice.
      if (!content.includes('gpgsig')) expect(payload).toEqual(content);
    }),
  );
});

it('finds the payload again after a signature was put into it', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.array(fc.stringMatching(/^[A-Za-z0-9+/= -]{0,70}$/), { minLength: 1 }),
      (text, lines) => {
        const payload = Buffer.from(`${PLAIN}\n${text}`);
        const armored = Buffer.from(`-----BEGIN\n${lines.join('\n')}\n-----END\n`);
        expect(splitSignature(withSignature(payload, armored), 'sha1')).toEqual({ payload, signature: armored });
      },
    ),
  );
});

describe.skipIf(needs('git'))('as git sees it', () => {
  let fixture: GitFixture;
  beforeAll(() => (fixture = new GitFixture()));
  afterAll(() => fixture[Symbol.dispose]());

  it('gives the id that git gives, in both formats', () => {
    const id = fixture.commit('one');
    expect(parseCommit(fixture.readCommit(id)).id).toBe(id);
    using other = new GitFixture('sha256');
    const long = other.commit('one');
    expect(parseCommit(other.readCommit(long), 'sha256')).toMatchObject({ id: long, format: 'sha256' });
    expect(() => parseCommit(other.readCommit(long))).toThrow(expect.objectContaining({ code: 'PROVENANCE_COMMIT' }));
  });

  const cases: readonly (readonly [string, string])[] = [
    ['nothing wrong', `${PLAIN}\nx\n`],
    ['no message', PLAIN],
    ['no blank line and no end', PLAIN.trimEnd()],
    ['nothing', ''],
    ['a blank line alone', '\n'],
    ['no tree', PLAIN.slice(TREE.length)],
    ['a short tree', PLAIN.replace(ID, ID.slice(1))],
    ['a tree in capitals', PLAIN.replace(ID, ID.toUpperCase())],
    ['a tree of no hex', PLAIN.replace(ID, 'g'.repeat(40))],
    ['a tree and more', PLAIN.replace(ID, `${ID} x`)],
    ['a bad parent', PLAIN.replace('author', `parent ${ID}x\nauthor`)],
    ['a parent after the author', PLAIN.replace('committer', `parent ${ID}\ncommitter`)],
    ['a parent after the committer', `${PLAIN}parent ${ID}\n\nx\n`],
    ['no author', PLAIN.replace(`author ${ADA}\n`, '')],
    ['two authors', PLAIN.replace('committer', `author ${ADA}\ncommitter`)],
    ['no committer', PLAIN.replace(`committer ${ADA}\n`, '')],
    ['two committers', `${PLAIN}committer ${ADA}\n\nx\n`],
    ['an empty name', PLAIN.replaceAll('Ada Lovelace', '')],
    ['no space before the address', PLAIN.replace('Lovelace <', 'Lovelace<')],
    ['no address', PLAIN.replace(' <ada@example.com>', '')],
    ['an open address', PLAIN.replace('com>', 'com')],
    ['an address in an address', PLAIN.replace('ada@', 'a<da@')],
    ['a closed name', PLAIN.replace('Ada', 'A>da')],
    ['no space before the date', PLAIN.replace('> 17', '>17')],
    ['no date', PLAIN.replace(' 1750000000 +0230', '')],
    ['a date with zeros', PLAIN.replace('1750', '01750')],
    ['a date below zero', PLAIN.replace('1750', '-1750')],
    ['a date past all', PLAIN.replace('1750', '99999999999991750')],
    ['a date of letters', PLAIN.replace('1750', 'x1750')],
    ['no zone', PLAIN.replace(' +0230', '')],
    ['a zone without sign', PLAIN.replace('+0230', '0230')],
    ['a zone of letters', PLAIN.replace('+0230', '+02x0')],
    ['a long zone', PLAIN.replace('+0230', '+02300')],
    ['NUL in the header', PLAIN.replace('Ada', 'A\0a')],
    ['NUL in the message', `${PLAIN}\na\0b\n`],
    ['bytes that are no UTF-8', PLAIN.replaceAll('Ada', 'Ad\xe4')],
    ['unknown headers', `${PLAIN}x\ny z\n w\n\nx\n`],
    ['a carriage return', PLAIN.replaceAll('\n', '\r\n')],
  ];

  it.each(cases)('accepts or refuses a commit with %s as git fsck does', (_, text) => {
    let isOurs = true;
    try {
      parse(text);
    } catch {
      isOurs = false;
    }
    expect(isOurs).toBe(fixture.isWellFormed(fixture.writeCommit(Buffer.from(text, 'latin1'))));
  });

  it('meets both verdicts in these cases', () => {
    const verdicts = cases.map(([, text]) => fixture.isWellFormed(fixture.writeCommit(Buffer.from(text, 'latin1'))));
    expect(new Set(verdicts)).toEqual(new Set([true, false]));
  });
});
