// Set-up on a machine that has everything: quick and silent; and clear about what it does not understand or cannot do.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findCommand } from '../needs.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';

/** Promised in docs/promises.md; the median of several runs, since the machine may be busy. */
const NOTHING_TO_DO_MS_MAX = 300;
const RUNS = 5;

let project: string;

/** A project of its own: what is tested here may run `npm ci`, and must not do so under the tests' feet. */
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'provost-setup-'));
  mkdirSync(join(project, 'scripts'));
  mkdirSync(join(project, 'node_modules'));
  copyFileSync(join(PROJECT_FOLDER, 'scripts/setup'), join(project, 'scripts/setup'));
  copyFileSync(join(PROJECT_FOLDER, 'package-lock.json'), join(project, 'package-lock.json'));
});

afterEach(() => {
  rmSync(project, { recursive: true, force: true });
});

interface Outcome {
  readonly status: number | null;
  readonly output: string;
  readonly ms: number;
}

function setUp(args: readonly string[], path = process.env['PATH']): Outcome {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync('/bin/sh', [join(project, 'scripts/setup'), ...args], {
    encoding: 'utf8',
    cwd: '/',
    env: { ...process.env, PATH: path },
  });
  return { status, output: stdout + stderr, ms: performance.now() - started };
}

function stampAsInstalled(): void {
  const stamp = execFileSync('sh', ['-c', 'cksum <package-lock.json'], { cwd: project });
  writeFileSync(join(project, 'node_modules/.provost-lock'), stamp);
}

/** A PATH with the tools that set-up itself needs, and nothing else. */
function barePath(): string {
  const folder = join(project, 'bin');
  mkdirSync(folder);
  for (const name of ['cat', 'cksum', 'dirname', 'grep', 'id', 'mktemp', 'paste', 'rm', 'sed', 'sort', 'tr', 'uname']) {
    const command = findCommand(name);
    if (command !== null) symlinkSync(command, join(folder, name));
  }
  return folder;
}

describe('scripts/setup', () => {
  it('says nothing and takes no time when there is nothing to do', () => {
    stampAsInstalled();
    const runs = Array.from({ length: RUNS }, () => setUp(['--for', 'test']));
    expect(runs.filter(({ status, output }) => status !== 0 || output !== '')).toEqual([]);
    const median = runs.map(({ ms }) => ms).toSorted((a, b) => a - b)[RUNS >> 1];
    expect(median).toBeLessThan(NOTHING_TO_DO_MS_MAX);
  });

  it.each([[['--for', 'nothing']], [['--for']], [['--quick']]])('refuses %j', (args) => {
    expect(setUp(args)).toMatchObject({ status: 2, output: expect.stringContaining('usage') as unknown });
  });

  it('says what is missing when npm is, and leaves no stamp', () => {
    expect(setUp([], barePath())).toMatchObject({
      status: 6,
      output: expect.stringContaining('npm is missing') as unknown,
    });
    expect(readdirSync(join(project, 'node_modules'))).toEqual([]);
  });

  it('goes by the lock file, not by its time: another lock is installed again', () => {
    stampAsInstalled();
    writeFileSync(join(project, 'package-lock.json'), '{}');
    expect(setUp([], barePath())).toMatchObject({
      status: 6,
      output: expect.stringContaining('npm is missing') as unknown,
    });
  });
});
