// What a sandbox is launched with: the request and the image's own wishes, put together as Docker would.
import { join } from 'node:path';

import type { RunRequest } from '../api/index.ts';
import type { Artifact } from '../artifact/index.ts';
import { exitStatus, MIB } from '../base/index.ts';
import type { Grant, LaunchProfile } from '../policy/index.ts';
import type { LaunchPart } from '../sandbox/index.ts';
import { EngineError } from './errors.ts';
import type { Home } from './home.ts';

/** What a workload writes is kept up to this; the newest stays. */
const OUTPUT_BYTES_MAX = 16 * MIB;
/** Stands for the range of a workload that does not exist yet, in a plan. */
const PLANNED_ID_RANGE = 1_000_000;

export interface LaunchWish {
  readonly name: string;
  readonly artifact: Artifact;
  readonly request: RunRequest;
  readonly grant: Grant;
  readonly launchProfile: LaunchProfile;
}

/** The launch part of an instance. */
export function launchPartOf(
  home: Home,
  wish: LaunchWish,
  host: { readonly id: string; readonly idRangeFirst: number },
): LaunchPart {
  const { name, artifact, request, grant, launchProfile } = wish;
  return {
    id: host.id,
    homeId: home.id,
    runDir: join(home.runDir, host.id),
    scratchDir: home.scratchDir,
    layerDirs: artifact.layers.map((layer) => layer.dir),
    argv: commandOf(artifact, request),
    env: environmentOf(name, artifact, request),
    workingDir: request.workingDir || artifact.config.workingDir || '/',
    user: request.user || artifact.config.user,
    hostname: name,
    terminal: request.terminal,
    stdinOpen: request.stdin,
    mounts: grant.mounts,
    secrets: new Map(Object.entries(request.secrets).map(([secret, text]) => [secret, Buffer.from(text, 'base64')])),
    diskBytes: grant.disk.bytes,
    launchProfile,
    idRangeFirst: host.idRangeFirst,
    logPath: join(home.workloadDir(name), 'output.log'),
    logBytesMax: OUTPUT_BYTES_MAX,
  };
}

/** As `launchPartOf`, of an instance that is only planned. */
export function planLaunchPart(home: Home, wish: LaunchWish): LaunchPart {
  return launchPartOf(home, wish, { id: `${home.id}-planned`, idRangeFirst: PLANNED_ID_RANGE });
}

/** What is given after `--` replaces the image's cmd; its entrypoint stays, as with Docker. */
export function commandOf(artifact: Artifact, request: RunRequest): string[] {
  const argv = [...artifact.config.entrypoint, ...(request.argv.length > 0 ? request.argv : artifact.config.cmd)];
  if (argv.length > 0) return argv;
  throw new EngineError('ENGINE_NO_COMMAND', `${artifact.name} does not say what to run`, {
    exit: exitStatus.usage,
    hint: 'Give the command after --.',
  });
}

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function environmentOf(name: string, artifact: Artifact, request: RunRequest): string[] {
  const given = new Map<string, string>();
  for (const entry of [DEFAULT_PATH, `HOSTNAME=${name}`, ...artifact.config.env, ...request.env]) {
    given.set(entry.slice(0, entry.indexOf('=')), entry);
  }
  return [...given.values()];
}
