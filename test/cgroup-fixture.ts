// Control groups of a test on the real kernel, and folders that stand for a tree that this host does not have.
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeParents } from '../src/sandbox/cgroup/group-folders.ts';
import { type CgroupGroup, makeGroup } from '../src/sandbox/cgroup/group.ts';
import { type CgroupLayout, findCgroupLayout } from '../src/sandbox/cgroup/layout.ts';

const DEADLINE_MS = 20_000;
const POLL_MS = 2;

/** A group on this host, with the processes that the test put into it; all of it is gone when it is disposed of. */
export interface TestGroup extends AsyncDisposable {
  readonly layout: CgroupLayout;
  readonly name: { readonly homeId: string; readonly id: string };
  readonly group: CgroupGroup;
  /** The folder of the group that a controller's files lie in. */
  folder(controller: string): string;
  /** Starts a program within the group; its output is `child.stdout`. */
  run(command: string, args: readonly string[]): Promise<ChildProcess & { readonly pid: number }>;
}

/** Makes a group under `provost/test-<random>`. */
export function openTestGroup(): TestGroup {
  const layout = findCgroupLayout();
  const name = { homeId: `test-${randomBytes(4).toString('hex')}`, id: 'one' };
  const group = makeGroup(layout, name);
  return {
    layout,
    name,
    group,
    folder: (controller) => join(layout.v1.get(controller) ?? layout.v2, group.path),
    run: (command, args) => startWithin(group, command, args),
    [Symbol.asyncDispose]: async () => {
      await group.kill();
      await group.remove();
      removeParents(layout, name.homeId);
    },
  };
}

/** The program starts only when it is in the group: a shell waits for a line before it becomes the program. */
async function startWithin(
  group: CgroupGroup,
  command: string,
  args: readonly string[],
): Promise<ChildProcess & { readonly pid: number }> {
  const child = spawn('sh', ['-c', 'read go && exec "$@"', 'sh', command, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('the shell did not start');
  group.admit(pid);
  child.stdin.write('go\n');
  return Object.assign(child, { pid });
}

/** Polls until it holds; throws after a deadline. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await delay(POLL_MS);
  }
}

/** A folder with files that stand for control files; the stated exception to real kernels. */
export interface FakeTree extends Disposable {
  readonly root: string;
  write(file: string, text: string): void;
}

export function openFakeTree(files: Readonly<Record<string, string>> = {}): FakeTree {
  const root = mkdtempSync(join(tmpdir(), 'provost-cgroup-'));
  const write = (file: string, text: string): void => {
    const path = join(root, file);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text);
  };
  for (const [file, text] of Object.entries(files)) write(file, text);
  return { root, write, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}
