// Which home a command means: the environment's, else the user's own.
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

import { type HomeLayout, homeLayout } from '../api/index.ts';

/** `PROVOST_HOME`, else `/var/lib/provost` as root, else the user's data folder. */
export function homeOf(env: NodeJS.ProcessEnv): HomeLayout {
  if (env['PROVOST_HOME'] !== undefined && env['PROVOST_HOME'] !== '') return homeLayout(resolve(env['PROVOST_HOME']));
  if (process.getuid?.() === 0) return homeLayout('/var/lib/provost');
  return homeLayout(join(env['XDG_DATA_HOME'] ?? join(homedir(), '.local', 'share'), 'provost'));
}
