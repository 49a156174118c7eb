// What lies around a container: its root, volumes, secrets, name files and configuration; made before it, taken away after it.
import { chownSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '../../base/index.ts';
import type { LaunchPart } from '../driver.ts';
import { type Kernel, MOUNT } from '../kernel/syscall.ts';
import type { Rootfs } from '../rootfs/rootfs.ts';
import { mountError, removeMountPoint, unmounted } from '../rootfs/unmount.ts';
import { removeWritableLayer } from '../rootfs/writable-layer.ts';
import { runLayout } from './conmon.ts';
import { hostRootCovers, isHostRoot } from './host-root.ts';
import { type ImageUser, resolveImageUser } from './image-user.ts';
import { nameFiles } from './name-files.ts';
import { bindMount, type OciConfig, type OciMount, ociSpec } from './oci-spec.ts';

/**
 * Where roots are mounted, a folder an instance. Every folder on the way must let the workload's root pass, who is nobody on the
 * host; those of PROVOST_HOME do not.
 */
const MOUNTS_DIR = '/run/provost';
/** Passable, not readable. */
const PASSABLE = 0o711;
/** Homes that lose the race so often are not racing. */
const PARENT_ATTEMPTS_MAX = 100;
/** A page for each secret's inode and the folder, beside the contents in whole pages. */
const SECRETS_SLACK_BYTES = 64 * 1024;
const PAGE_BYTES = 4096;
const OPEN_FILES_MAX = 1_048_576;

/** What a stage is made with. */
export interface StageTools {
  readonly kernel: Kernel;
  readonly rootfs: Rootfs;
  /** Folders of the host that no workload may see, even with `--rootfs /`. */
  readonly hiddenDirs: readonly string[];
}

/** Whose stage it is; known after a crash too. */
export interface StageName {
  readonly id: string;
  readonly runDir: string;
  readonly scratchDir: string;
}

const stageLayout = {
  dir: (id: string) => join(MOUNTS_DIR, id),
  root: (id: string) => join(MOUNTS_DIR, id, 'root'),
  volumes: (id: string) => join(MOUNTS_DIR, id, 'volumes'),
  secrets: (id: string) => join(MOUNTS_DIR, id, 'secrets'),
  /** Files of ours that are bound into the root. */
  files: (id: string) => join(MOUNTS_DIR, id, 'files'),
} as const;

/** The folder of an instance's writable layer. */
export function scratchDirOf({ id, scratchDir }: Pick<StageName, 'id' | 'scratchDir'>): string {
  return join(scratchDir, id);
}

/** Ids of the stages of a home that are on the host, also half made ones. */
export function listStageIds(homeId: string): readonly string[] {
  try {
    return readdirSync(MOUNTS_DIR).filter((name) => name.startsWith(`${homeId}-`));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/**
 * Makes everything that the runtime needs to create the container, and writes its configuration into the bundle, whose folder is
 * there. What was made when it fails stays for {@link removeStage}.
 *
 * @throws SandboxError SANDBOX_MOUNT, SANDBOX_NO_SPACE, SANDBOX_USER
 */
export async function openStage(tools: StageTools, launch: LaunchPart, cgroupsPath: string): Promise<void> {
  const { id, idRangeFirst, layerDirs } = launch;
  makeStageDir(id);
  const dir = scratchDirOf(launch);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const upper = await tools.rootfs.makeWritableLayer({ dir, diskBytes: launch.diskBytes, idRangeFirst });
  const rootDir = stageLayout.root(id);
  await tools.rootfs.mountRoot({ dir: rootDir, layerDirs, upper, idRangeFirst, copiesDir: join(dir, 'copies') });
  const user = resolveImageUser(rootDir, launch.user);
  const mounts = await mountVolumes(tools, launch);
  const ownMounts = [
    ...(isHostRoot(layerDirs) ? coversOf(tools, id) : []),
    ...writeNameFiles(launch),
    ...mountSecrets(tools.kernel, launch, user),
  ];
  const config = ociSpec({
    launch: { ...launch, mounts },
    user,
    rootDir,
    cgroupsPath,
    openFilesMax: openFilesLimit(),
    ownMounts,
  });
  writeFileSync(join(runLayout.bundle(launch.runDir), 'config.json'), JSON.stringify(config), { mode: 0o600 });
}

/** Another home that ends its last instance takes the parent away when it is empty, perhaps between our two steps. */
function makeStageDir(id: string): void {
  for (let attempt = 1; ; attempt += 1) {
    mkdirSync(MOUNTS_DIR, { recursive: true, mode: PASSABLE });
    try {
      mkdirSync(stageLayout.dir(id), { mode: PASSABLE });
      return;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT' || attempt === PARENT_ATTEMPTS_MAX) throw error;
    }
  }
}

/** The configuration that {@link openStage} would write, with nothing made. */
export function planConfig(
  tools: Pick<StageTools, 'hiddenDirs'>,
  launch: LaunchPart,
  planned: { readonly cgroupsPath: string; readonly user: ImageUser },
): OciConfig {
  const { id } = launch;
  const files = stageLayout.files(id);
  const ownMounts = [
    ...(isHostRoot(launch.layerDirs)
      ? hostRootCovers({ rootDir: '/', hiddenDirs: tools.hiddenDirs, emptyFile: join(files, 'empty') })
      : []),
    ...nameFiles(launch.hostname).map(({ name, target }) =>
      bindMount({ source: join(files, name), target, readOnly: true }),
    ),
    ...(launch.secrets.size > 0 ? [secretsMount(id)] : []),
  ];
  const mounts = launch.mounts.map((mount, index) => ({
    ...mount,
    source: join(stageLayout.volumes(id), String(index)),
  }));
  return ociSpec({
    launch: { ...launch, mounts },
    rootDir: stageLayout.root(id),
    openFilesMax: openFilesLimit(),
    ownMounts,
    ...planned,
  });
}

/**
 * Takes a stage away, whole or half made. The sandbox must have ended. Safe to call twice.
 *
 * @throws SandboxError SANDBOX_MOUNT when something of it stays in use
 */
export async function removeStage({ kernel }: Pick<StageTools, 'kernel'>, name: StageName): Promise<void> {
  const { id, runDir } = name;
  const volumes = stageLayout.volumes(id);
  for (const point of [
    stageLayout.root(id),
    ...listed(volumes).map((entry) => join(volumes, entry)),
    stageLayout.secrets(id),
  ]) {
    await unmounted(kernel, point);
    // Never a recursive removal: what is still mounted there is somebody's data.
    await removeMountPoint(point);
  }
  await removeMountPoint(volumes);
  await removeMountPoint(`${stageLayout.root(id)}.layers`);
  await rm(stageLayout.files(id), { recursive: true, force: true });
  await removeMountPoint(stageLayout.dir(id));
  removeIfEmpty(MOUNTS_DIR);
  const scratch = scratchDirOf(name);
  await removeWritableLayer(kernel, scratch);
  await rm(join(scratch, 'copies'), { recursive: true, force: true });
  await removeMountPoint(scratch);
  await rm(runDir, { recursive: true, force: true });
}

function listed(dir: string): readonly string[] {
  try {
    return readdirSync(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw mountError(`a look at ${dir}`, error);
  }
}

/** Another home's stage may be in it. */
function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EBUSY'].includes(errnoOf(error) ?? '')) throw mountError(`the end of ${dir}`, error);
  }
}

async function mountVolumes(
  { rootfs }: StageTools,
  { id, idRangeFirst, mounts }: LaunchPart,
): Promise<LaunchPart['mounts']> {
  if (mounts.length === 0) return mounts;
  mkdirSync(stageLayout.volumes(id), { mode: PASSABLE });
  const made: LaunchPart['mounts'][number][] = [];
  for (const [index, { source, target, readOnly }] of mounts.entries()) {
    const point = join(stageLayout.volumes(id), String(index));
    const { path } = await rootfs.mountVolume({ source, target: point, idRangeFirst, readOnly });
    made.push({ source: path, target, readOnly });
  }
  return made;
}

function coversOf({ hiddenDirs }: StageTools, id: string): OciMount[] {
  const emptyFile = join(filesDir(id), 'empty');
  writeFileSync(emptyFile, '', { mode: 0o444 });
  return hostRootCovers({ rootDir: stageLayout.root(id), hiddenDirs, emptyFile });
}

function writeNameFiles({ id, hostname }: LaunchPart): OciMount[] {
  const dir = filesDir(id);
  return nameFiles(hostname).map(({ name, target, text }) => {
    const source = join(dir, name);
    writeFileSync(source, text, { mode: 0o644 });
    return bindMount({ source, target, readOnly: true });
  });
}

function filesDir(id: string): string {
  const dir = stageLayout.files(id);
  mkdirSync(dir, { recursive: true, mode: PASSABLE });
  return dir;
}

/** Secrets lie in memory alone, each readable by the workload's user and by nobody else. */
function mountSecrets(kernel: Kernel, { id, idRangeFirst, secrets }: LaunchPart, user: ImageUser): OciMount[] {
  if (secrets.size === 0) return [];
  const target = stageLayout.secrets(id);
  const [uid, gid] = [idRangeFirst + user.uid, idRangeFirst + user.gid];
  mkdirSync(target, { mode: PASSABLE });
  let size = SECRETS_SLACK_BYTES;
  for (const content of secrets.values()) size += Math.ceil(content.length / PAGE_BYTES) * PAGE_BYTES + PAGE_BYTES;
  try {
    kernel.mount({
      source: 'provost',
      target,
      type: 'tmpfs',
      flags: MOUNT.noDev | MOUNT.noSuid,
      data: `size=${size},mode=0500,uid=${uid},gid=${gid}`,
    });
  } catch (error) {
    throw mountError(`the secrets at ${target}`, error);
  }
  for (const [name, content] of secrets) {
    const file = join(target, name);
    writeFileSync(file, content, { mode: 0o400, flag: 'wx' });
    chownSync(file, uid, gid);
  }
  return [secretsMount(id)];
}

function secretsMount(id: string): OciMount {
  return bindMount({ source: stageLayout.secrets(id), target: '/run/secrets', readOnly: true });
}

/** What this process may raise a limit to: nothing that it starts can have more. */
function openFilesLimit(): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.min(OPEN_FILES_MAX, hard === 'unlimited' || hard === undefined ? OPEN_FILES_MAX : Number(hard));
}
