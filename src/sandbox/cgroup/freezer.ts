// Stops and starts every process of one group, and waits until the kernel says that it is so.
import { setTimeout as delay } from 'node:timers/promises';
import { join } from 'node:path';
import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { closeAll, type ControlFile, controlFile, controlFileIfAny, keyedNumber } from './control-file.ts';

/** A process in an uninterruptible call is frozen only when that ends; after this the caller must know. */
const SETTLE_MS_MAX = 2000;
/** Polls without a pause between them: most groups are frozen within some of these, about 0.1 ms. */
const POLLS_AT_ONCE = 64;
/** Then a pause between polls. */
const POLL_MS = 1;
/** The v1 freezer misses processes forked while it froze, until it is told again. */
const POLLS_BEFORE_REPEAT = 32;

/** Freezes one group. Throws SandboxError SANDBOX_GONE, SANDBOX_CGROUP, SANDBOX_TIMEOUT. */
export interface Freezer extends Disposable {
  /** Resolves when every process has stopped. After SANDBOX_TIMEOUT the kernel goes on freezing. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Whether the kernel says now that every process has stopped. */
  isFrozen(): boolean;
}

/** Folders of one group: in the v2 tree, and in the v1 freezer hierarchy, null without one. */
export interface FreezerFolders {
  readonly v2: string;
  readonly v1: string | null;
}

interface FreezerFiles {
  readonly freeze: ControlFile;
  readonly events: ControlFile;
  readonly members: ControlFile;
  readonly state: ControlFile | null;
  readonly stateMembers: ControlFile | null;
}

/**
 * Freezes by the v2 tree when every process is there, since only those can be killed while frozen; else by the v1
 * freezer. Never by both at once: a process that one of them stopped cannot reach the stop of the other.
 */
export function openFreezer(folders: FreezerFolders): Freezer {
  const files: FreezerFiles = {
    freeze: controlFile(join(folders.v2, 'cgroup.freeze'), 'both'),
    events: controlFile(join(folders.v2, 'cgroup.events')),
    members: controlFile(join(folders.v2, 'cgroup.procs')),
    state: folders.v1 === null ? null : controlFileIfAny(join(folders.v1, 'freezer.state'), 'both'),
    stateMembers: folders.v1 === null ? null : controlFileIfAny(join(folders.v1, 'cgroup.procs')),
  };
  return {
    freeze: () => freeze(files),
    thaw: () => thaw(files),
    isFrozen: () => isFrozenV2(files) || isFrozenV1(files),
    [Symbol.dispose]: () => closeAll(Object.values(files)),
  };
}

async function freeze(files: FreezerFiles): Promise<void> {
  const { state } = files;
  if (state === null || hasAllInV2(files)) {
    files.freeze.write('1');
    return settle(files.freeze.path, () => isFrozenV2(files));
  }
  state.write('FROZEN');
  let polls = 0;
  return settle(state.path, () => {
    polls += 1;
    if (polls % POLLS_BEFORE_REPEAT === 0) state.write('FROZEN');
    return isFrozenV1(files);
  });
}

/** Both, whatever froze it: a supervisor that is gone may have used the other. */
async function thaw(files: FreezerFiles): Promise<void> {
  files.freeze.write('0');
  files.state?.write('THAWED');
  return settle(files.freeze.path, () => !isFrozenV2(files) && !isFrozenV1(files));
}

function hasAllInV2({ members, stateMembers }: FreezerFiles): boolean {
  const inV2 = new Set(members.read().split('\n'));
  return (
    stateMembers === null ||
    stateMembers
      .read()
      .split('\n')
      .every((pid) => inV2.has(pid))
  );
}

function isFrozenV2({ events }: FreezerFiles): boolean {
  return keyedNumber(events.read(), 'frozen') === 1;
}

function isFrozenV1({ state }: FreezerFiles): boolean {
  return state !== null && state.read().startsWith('FROZEN');
}

/** Polls until `isSettled`: at once, then between other work, then with pauses. */
async function settle(path: string, isSettled: () => boolean): Promise<void> {
  for (let poll = 0; poll < POLLS_AT_ONCE; poll += 1) if (isSettled()) return;
  const deadline = performance.now() + SETTLE_MS_MAX;
  while (performance.now() < deadline) {
    await delay(POLL_MS);
    if (isSettled()) return;
  }
  throw new SandboxError(
    'SANDBOX_TIMEOUT',
    `${path} was written, but not every process followed in ${SETTLE_MS_MAX} ms`,
    {
      exit: exitStatus.unavailable,
      hint: 'a process waits in the kernel, mostly for a disk or a network file system: kill the workload, or wait',
      details: { path },
    },
  );
}
