// Which folders of the host no workload may be given: those that hold Provost's own state.
import { realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { errnoOf, exitStatus, messageOf } from '../base/index.ts';
import type { BindMount } from '../policy/index.ts';
import { EngineError } from './errors.ts';

/**
 * Refuses a mount of PROVOST_HOME, of anything in it, or of a folder that it lies in: who may write there owns every workload, and who
 * may read there has the keys. Symbolic links are followed first.
 *
 * @throws EngineError ENGINE_MOUNT, also for a source that is not there
 */
export function refuseOwnFolders(homeDir: string, mounts: readonly BindMount[]): void {
  const home = realPathOf(homeDir);
  for (const { source } of mounts) {
    const real = sourcePath(source);
    if (isWithin(real, home) || isWithin(home, real)) {
      throw new EngineError('ENGINE_MOUNT', `${source} holds Provost's own state, or lies in it`, {
        exit: exitStatus.usage,
        hint: 'Mount a folder that neither contains PROVOST_HOME nor lies in it.',
      });
    }
  }
}

function isWithin(path: string, dir: string): boolean {
  return dir === '/' || path === dir || path.startsWith(`${dir}/`);
}

function sourcePath(source: string): string {
  try {
    return realpathSync(source);
  } catch (error) {
    throw new EngineError('ENGINE_MOUNT', `${source} cannot be mounted: ${messageOf(error)}`, {
      exit: exitStatus.usage,
      hint: 'Make the folder or file first.',
      cause: error,
    });
  }
}

/** A home that is not there yet (a plan) lies where the nearest folder above it does. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || path === '/') throw error;
    return join(realPathOf(dirname(path)), path.slice(dirname(path).length));
  }
}
