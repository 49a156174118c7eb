import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { GitFixture } from '../../../test/git-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { readCommits, readTreeSha256 } from './git-history.ts';
import { openRepository } from './git-repository.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_REPOSITORY' });

describe.skipIf(needs('git'))('a repository', () => {
  let fixture: GitFixture;
  beforeEach(() => (fixture = new GitFixture()));
  afterEach(() => fixture[Symbol.dispose]());

  const inGit = (...parts: readonly string[]): string => join(fixture.dir, '.git', ...parts);
  const write = (name: string, text: string): void => {
    mkdirSync(join(fixture.dir, name, '..'), { recursive: true });
    writeFileSync(join(fixture.dir, name), text);
  };
  const historyOf = (dir: string, range = {}): ReturnType<typeof readCommits> => {
    using repository = openRepository(dir);
    return readCommits(repository, range);
  };
  const idsOfGit = (...args: readonly string[]): string[] =>
    fixture
      .git('rev-list', ...args)
      .split('\n')
      .filter(Boolean);

  /** Two branches, merged twice, and texts that pack as deltas of each other. */
  const grow = (): void => {
    for (let n = 0; n < 12; n += 1) {
      write('file', `${'line\n'.repeat(200)}${n}`);
      fixture.commit(`main ${n}\n\n${'the same text again\n'.repeat(20)}${n}`);
      if (n % 4 !== 3) continue;
      fixture.git('checkout', '-q', '-b', `side-${n}`, 'HEAD~2');
      write(`side-${n}`, 'x');
      fixture.commit(`side ${n}`);
      fixture.git('checkout', '-q', 'main');
      fixture.git('merge', '-q', '--no-ff', '--no-edit', `side-${n}`);
    }
  };

  const expectHistory = (dir: string): void => {
    using repository = openRepository(dir);
    const history = readCommits(repository);
    const { ids, cutAt } = history;
    expect(ids.toSorted()).toEqual(idsOfGit('HEAD').toSorted());
    expect(cutAt).toEqual([]);
    const seen = new Set<string>();
    for (const commit of history.commits()) {
      expect(commit.parents.filter((parent) => !seen.has(parent))).toEqual([]);
      seen.add(commit.id);
    }
    expect([...seen]).toEqual(ids);
  };

  it('is read from its first commit on, parents first: loose, packed, borrowed, bare and linked', () => {
    grow();
    expectHistory(fixture.dir);
    fixture.git('repack', '-adfq', '--depth=50', '--window=50');
    fixture.git('prune-packed');
    fixture.git('pack-refs', '--all');
    expectHistory(fixture.dir);
    fixture.commit('after the pack');
    expectHistory(fixture.dir);
    fixture.git('clone', '-q', '--bare', '--shared', fixture.dir, join(fixture.root, 'bare'));
    expectHistory(join(fixture.root, 'bare'));
    fixture.git('worktree', 'add', '-q', '--detach', join(fixture.root, 'linked'), 'HEAD');
    expectHistory(join(fixture.root, 'linked'));
  });

  it('reads packs whose deltas name their bases by id', () => {
    grow();
    const ids = fixture.git('rev-list', '--objects', 'HEAD').replaceAll(/ .*$/gm, '');
    const args = ['pack-objects', '-q', '--no-reuse-delta', '--depth=50', '--window=50', join(fixture.root, 'made')];
    const hash = fixture
      .run('git', args, { input: `${ids}\n` })
      .toString()
      .trim();
    rmSync(inGit('objects'), { recursive: true });
    mkdirSync(inGit('objects/pack'), { recursive: true });
    for (const end of ['pack', 'idx'])
      renameSync(join(fixture.root, `made-${hash}.${end}`), inGit(`objects/pack/pack-${hash}.${end}`));
    expectHistory(fixture.dir);
  });

  it('reads packs whose index has places past 2 GiB', () => {
    grow();
    fixture.git('repack', '-adfq');
    const [name = ''] = readdirSync(inGit('objects/pack')).filter((file) => file.endsWith('.pack'));
    const pack = inGit('objects/pack', name);
    const index = pack.replace('.pack', '.idx');
    rmSync(index, { force: true });
    fixture.git('index-pack', '--index-version=2,0x40', '-o', index, pack);
    expectHistory(fixture.dir);
    // Without its last bytes the table of these places is not whole.
    const whole = readFileSync(index);
    chmodSync(index, 0o600);
    writeFileSync(index, whole.subarray(0, -60));
    expect(() => historyOf(fixture.dir)).toThrow(refused);
  });

  it('keeps no more bases of deltas than it has room for', () => {
    const ids: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const base = randomBytes(7_000_000);
      for (const content of [base, Buffer.concat([base, Buffer.from('and more')])]) {
        write('large', '');
        writeFileSync(join(fixture.dir, 'large'), content);
        ids.push(fixture.git('hash-object', '-w', 'large'));
        fixture.commit('large');
      }
    }
    fixture.git('repack', '-adfq');
    fixture.git('prune-packed');
    using repository = openRepository(fixture.dir);
    for (const id of [...ids, ...ids]) expect(repository.readObject(id).kind).toBe('blob');
  });

  it('is read in SHA-256 as well', () => {
    using other = new GitFixture('sha256');
    const ids = [other.commit('one'), other.commit('two')];
    other.git('gc', '-q');
    expect(historyOf(other.dir).ids).toEqual(ids);
  });

  it('reads a range as git does', () => {
    grow();
    for (const [from, to] of [
      ['HEAD~3', 'HEAD'],
      ['side-3', 'main'],
      ['main', 'side-7'],
      ['HEAD', 'HEAD'],
    ] as const)
      expect(historyOf(fixture.dir, { from, to }).ids.toSorted()).toEqual(idsOfGit(`${from}..${to}`).toSorted());
  });

  it('resolves revisions as git does', () => {
    grow();
    fixture.git('tag', 'light');
    fixture.git('tag', '-a', '-m', 'x', 'heavy');
    fixture.git('tag', '-a', '-m', 'x', 'heavier', 'heavy');
    fixture.git('update-ref', 'refs/remotes/origin/main', 'HEAD~1');
    fixture.git('branch', 'topic/one');
    using repository = openRepository(fixture.dir);
    const names = ['HEAD', 'main', 'light', 'heavier', 'origin/main', 'topic/one', 'refs/heads/main', 'heads/main'];
    const steps = ['HEAD~', 'HEAD~2', 'HEAD^', 'HEAD^2', 'HEAD^2~1^0', 'main~0', fixture.git('rev-parse', 'HEAD')];
    const resolve = (): string[] => [...names, ...steps].map((name) => repository.resolve(name));
    const expected = [...names, ...steps].map((name) => fixture.git('rev-parse', `${name}^{commit}`));
    expect(resolve()).toEqual(expected);
    fixture.git('pack-refs', '--all');
    expect(resolve()).toEqual(expected);
  });

  it.each([
    '',
    'nothing',
    'HEAD~99999',
    'HEAD^3',
    '../config',
    'a..b',
    '/etc/passwd',
    'topic',
    'HEAD:file',
    '-x',
    'x'.repeat(1025),
  ])('refuses the revision %s', (revision) => {
    fixture.commit('one');
    fixture.git('branch', 'topic/one');
    using repository = openRepository(fixture.dir);
    expect(() => repository.resolve(revision)).toThrow(refused);
  });

  it('notices where a shallow clone ends', () => {
    grow();
    const shallow = join(fixture.root, 'shallow');
    fixture.git('clone', '-q', '--depth=2', `file://${fixture.dir}`, shallow);
    const { ids, cutAt } = historyOf(shallow);
    expect(ids.length).toBeLessThan(idsOfGit('HEAD').length);
    expect(cutAt.toSorted()).toEqual(readFileSync(join(shallow, '.git/shallow'), 'utf8').trim().split('\n').toSorted());
  });

  it('names a tree by SHA-256 as a SHA-256 repository does', () => {
    using other = new GitFixture('sha256');
    for (const { dir } of [fixture, other]) {
      mkdirSync(join(dir, 'folder/inner'), { recursive: true });
      writeFileSync(join(dir, 'folder/inner/file'), 'one');
      writeFileSync(join(dir, 'folder.txt'), '');
      writeFileSync(join(dir, 'run'), '#!/bin/sh\n');
      chmodSync(join(dir, 'run'), 0o755);
      symlinkSync('folder/inner', join(dir, 'link'));
    }
    using repository = openRepository(fixture.dir);
    const { tree } = repository.readCommit(fixture.commit('one'));
    other.commit('one');
    expect(readTreeSha256(repository, tree)).toBe(other.git('rev-parse', 'HEAD^{tree}'));
    fixture.git('update-index', '--add', '--cacheinfo', `160000,${'a'.repeat(40)},module`);
    expect(readTreeSha256(repository, fixture.git('write-tree'))).toBeNull();
  });

  it('refuses trees that are damaged or too deep', () => {
    const make = (content: Buffer): string =>
      fixture
        .run('git', ['hash-object', '-t', 'tree', '-w', '--stdin', '--literally'], { input: content })
        .toString()
        .trim();
    using repository = openRepository(fixture.dir);
    expect(() => readTreeSha256(repository, make(Buffer.from('40000 x\0abc')))).toThrow(refused);
    expect(() => readTreeSha256(repository, make(Buffer.from('40000 x')))).toThrow(refused);
    const entry = Buffer.concat([
      Buffer.from('100644 x\0'),
      Buffer.from(fixture.git('hash-object', '-w', '/dev/null'), 'hex'),
    ]);
    const many = make(Buffer.alloc(1_000_001 * entry.length, entry));
    expect(() => readTreeSha256(repository, many)).toThrow(/more than 1000000 entries/);
    let tree = make(Buffer.alloc(0));
    for (let depth = 0; depth < 300; depth += 1)
      tree = make(Buffer.concat([Buffer.from('40000 x\0'), Buffer.from(tree, 'hex')]));
    expect(() => readTreeSha256(repository, tree)).toThrow(/deeper/);
  });

  it('refuses a history that is too long, and says how to read a part', () => {
    grow();
    const tooLong = expect.objectContaining({ code: 'PROVENANCE_REPOSITORY', exit: 2 });
    expect(() => historyOf(fixture.dir, { countMax: 3 })).toThrow(tooLong);
    expect(historyOf(fixture.dir, { countMax: idsOfGit('HEAD').length }).ids.length).toBeGreaterThan(12);
  });

  it('reads a history that is deeper than any stack', () => {
    const lines: string[] = [];
    for (let n = 1; n <= 20_000; n += 1)
      lines.push(`commit refs/heads/deep\ncommitter A <a@x> ${n} +0000\ndata 1\nx\n`);
    fixture.run('git', ['fast-import', '--quiet'], { input: lines.join('') });
    expect(historyOf(fixture.dir, { to: 'deep' }).ids).toEqual(idsOfGit('--reverse', 'deep'));
  });

  describe('that is damaged or hostile', () => {
    let id: string;
    beforeEach(() => (id = fixture.commit('one')));
    const read = (): unknown => historyOf(fixture.dir);
    const loose = (): string => inGit('objects', id.slice(0, 2), id.slice(2));
    const overwrite = (path: string, content: Buffer | string): void => {
      chmodSync(path, 0o600);
      writeFileSync(path, content);
    };

    it.each<[string, () => void]>([
      ['has no objects', () => rmSync(inGit('objects'), { recursive: true })],
      ['lacks its commit', () => rmSync(loose())],
      ['has a commit of other content', () => overwrite(loose(), deflateSync(`commit 3\0abc`))],
      ['has a commit that cannot be inflated', () => overwrite(loose(), 'x')],
      ['has a commit of another size', () => overwrite(loose(), deflateSync(`commit 4\0abc`))],
      ['has a commit that grows without end', () => overwrite(loose(), deflateSync(Buffer.alloc(2 ** 24)))],
      ['has a commit that is too large to read', () => overwrite(loose(), Buffer.alloc(2 ** 24))],
      [
        'has a tree for its head',
        () => writeFileSync(inGit('refs/heads/main'), fixture.git('rev-parse', 'HEAD^{tree}')),
      ],
      ['has a head that names itself', () => writeFileSync(inGit('HEAD'), 'ref: HEAD\n')],
      ['has a head that leads out', () => writeFileSync(inGit('HEAD'), 'ref: refs/../../../../etc/passwd\n')],
      ['has a name of words', () => writeFileSync(inGit('refs/heads/main'), 'what\n')],
      ['has a name without end', () => writeFileSync(inGit('refs/heads/main'), 'x'.repeat(99_999))],
      ['stores its names otherwise', () => appendFileSync(inGit('config'), '[extensions]\n\trefStorage = reftable\n')],
      ['has unknown ids', () => appendFileSync(inGit('config'), '[extensions]\n\tobjectFormat = sha3\n')],
      [
        'has a folder for its configuration',
        () => {
          rmSync(inGit('config'));
          mkdirSync(inGit('config'));
        },
      ],
      [
        'has a FIFO for its configuration',
        () => {
          rmSync(inGit('config'));
          execFileSync('mkfifo', [inGit('config')]);
        },
      ],
      [
        'has a link to itself for its configuration',
        () => {
          rmSync(inGit('config'));
          symlinkSync('config', inGit('config'));
        },
      ],
      [
        'has a file for its packs',
        () => {
          rmSync(inGit('objects/pack'), { recursive: true });
          writeFileSync(inGit('objects/pack'), '');
        },
      ],
      [
        'borrows without end',
        () => {
          const lines = Array.from({ length: 20 }, (_, n) => `/nowhere/${n}\n`);
          writeFileSync(inGit('objects/info/alternates'), `# others\n${lines.join('')}`);
        },
      ],
      ['has a pack without an index', () => writeFileSync(inGit('objects/pack/pack-x.idx'), '')],
      [
        'points elsewhere with words',
        () => {
          rmSync(inGit(), { recursive: true });
          writeFileSync(inGit(), 'what');
        },
      ],
      ['is none', () => rmSync(inGit(), { recursive: true })],
    ])('is refused when it %s', (_, damage) => {
      damage();
      expect(read).toThrow(refused);
    });

    it('is refused when it has more packs than git ever leaves', () => {
      fixture.git('repack', '-adq');
      const dir = inGit('objects/pack');
      const [name = ''] = readdirSync(dir).filter((file) => file.endsWith('.idx'));
      for (let n = 0; n < 512; n += 1)
        for (const end of ['idx', 'pack']) linkSync(join(dir, name.replace('idx', end)), join(dir, `pack-${n}.${end}`));
      expect(read).toThrow(/more than 512 packs/);
    });

    it('is refused when it is a tag of a tag of tags', () => {
      for (let n = 0; n < 8; n += 1) fixture.git('tag', '-a', '-m', 'x', `tag-${n}`, n === 0 ? 'HEAD' : `tag-${n - 1}`);
      expect(() => historyOf(fixture.dir, { to: 'tag-7' })).toThrow(refused);
    });

    it('is refused when it leads round in a circle', () => {
      rmSync(inGit('refs/heads/main'));
      symlinkSync('main', inGit('refs/heads/main'));
      expect(read).toThrow(refused);
      rmSync(inGit(), { recursive: true });
      symlinkSync('.git', inGit());
      expect(read).toThrow(refused);
    });

    it('keeps the paths of a stranger out of its messages', () => {
      rmSync(inGit(), { recursive: true });
      for (const path of ['\x1b[2J\u2028', 'x\0y', '\x1b'.repeat(9999)]) {
        writeFileSync(inGit(), `gitdir: ${path}`);
        expect(read).toThrow(refused);
        expect(read).toThrow(/^[\x20-\x7e]{1,500}$/);
      }
    });

    it('does not give away what a link in it leads to', () => {
      const secret = join(fixture.root, 'secret');
      writeFileSync(secret, 'root:hash');
      rmSync(inGit('refs/heads/main'));
      symlinkSync(secret, inGit('refs/heads/main'));
      expect(read).toThrow(refused);
      expect(read).not.toThrow(/hash/);
    });
  });

  it('answers a pack with any byte flipped with an error of its own, or with the commits that it had', () => {
    grow();
    fixture.git('repack', '-adfq', '--depth=50', '--window=50');
    const whole = historyOf(fixture.dir).ids;
    const dir = inGit('objects/pack');
    let refusals = 0;
    for (const name of readdirSync(dir)) {
      const path = join(dir, name);
      const content = readFileSync(path);
      chmodSync(path, 0o600);
      for (let at = 0; at < content.length; at += 19) {
        const flipped = Buffer.from(content);
        flipped.writeUInt8(content.readUInt8(at) ^ (1 << (at % 8)), at);
        writeFileSync(path, flipped);
        let ids: readonly string[] | null = null;
        try {
          ids = historyOf(fixture.dir).ids;
        } catch (error) {
          expect(error).toEqual(refused);
          refusals += 1;
        }
        if (ids !== null) expect(ids).toEqual(whole);
      }
      writeFileSync(path, content);
    }
    expect(refusals).toBeGreaterThan(50);
  });
});
