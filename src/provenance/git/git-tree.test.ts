import { symlinkSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { GitFixture } from '../../../test/git-fixture.ts';
import { needs } from '../../../test/needs.ts';
import { openRepository } from './git-repository.ts';
import { readTree } from './git-tree.ts';

describe.skipIf(needs('git'))('a tree of a commit', () => {
  let git: GitFixture;

  beforeEach(() => {
    git = new GitFixture();
  });

  afterEach(() => git[Symbol.dispose]());

  const read = (tree: string): string[] => {
    using repository = openRepository(git.dir);
    return [...readTree(repository, tree)].map(({ kind, path, bytes }) => `${kind} ${path} ${bytes.toString()}`.trim());
  };
  const makeTree = (...lines: string[]): string =>
    git
      .run('git', ['mktree', '--missing'], { input: lines.map((line) => `${line}\n`).join('') })
      .toString()
      .trim();
  const refused = expect.objectContaining({ code: 'PROVENANCE_REPOSITORY' });

  it('is read whole, each folder before what is in it', () => {
    mkdirSync(join(git.dir, 'a/b'), { recursive: true });
    writeFileSync(join(git.dir, 'a/b/deep'), 'deep');
    writeFileSync(join(git.dir, 'run'), 'sh', { mode: 0o755 });
    symlinkSync('../outside', join(git.dir, 'z'));
    const id = git.commit('all');
    const entries = read(git.git('rev-parse', `${id}^{tree}`));
    expect(entries).toEqual(['folder a', 'executable run sh', 'link z ../outside', 'folder a/b', 'file a/b/deep deep']);
  });

  it('is refused beyond a depth that no work tree has', () => {
    let tree = makeTree();
    for (let depth = 0; depth <= 257; depth += 1) tree = makeTree(`040000 tree ${tree}\td`);
    expect(() => read(tree)).toThrow(
      expect.objectContaining({ message: expect.stringContaining('256 levels') as unknown }),
    );
  });

  it('is refused with a submodule, a file in the place of a folder, and a name that leads out of it', () => {
    writeFileSync(join(git.dir, 'f'), 'f');
    const commit = git.commit('one');
    const blob = git.git('rev-parse', `${commit}:f`);
    expect(() => read(makeTree(`160000 commit ${commit}\tsub`))).toThrow(refused);
    expect(() => read(blob)).toThrow(refused);
    for (const name of ['..', '.git', '.GIT'])
      expect(() => read(writeRawTree(git, [`100644 ${name}`, blob]))).toThrow(refused);
    expect(() => read(writeRawTree(git, ['100644 f', blob], ['120000 f', blob]))).toThrow(refused);
  });
});

/** As git would never write it. */
function writeRawTree(git: GitFixture, ...entries: readonly [head: string, id: string][]): string {
  const input = Buffer.concat(
    entries.map(([head, id]) => Buffer.concat([Buffer.from(`${head}\0`), Buffer.from(id, 'hex')])),
  );
  return git.run('git', ['hash-object', '-t', 'tree', '-w', '--stdin', '--literally'], { input }).toString().trim();
}
