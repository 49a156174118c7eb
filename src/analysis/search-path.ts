// base.path: whether somebody who can write a file can make the workload run it by its name alone.
import type { LayerFacts } from '../artifact/index.ts';
import type { Judgement } from './hygiene.ts';
import { reachablePaths } from './reachable-paths.ts';

/** What runtimes take when an image says nothing. @source Docker's and containerd's default environment */
const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Folders that everybody may write to on every system, sticky or not. */
const PUBLIC_FOLDERS = ['tmp', 'var/tmp', 'dev/shm', 'run/lock', 'var/lock'];

/** A list of writable folders that was cut short may hide one of the path. */
const UNLISTED_SCORE = 0.5;

/** Judges `PATH` of an image's environment against the folders and files that everybody may write to. */
export function judgeSearchPath(env: readonly string[], facts: readonly LayerFacts[]): Judgement {
  const folders = (env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? DEFAULT_PATH).split(
    ':',
  );
  const relative = folders.find((folder) => !folder.startsWith('/'));
  if (relative !== undefined) {
    const shown =
      relative === '' ? 'an empty entry, which is the working folder' : `the relative '${relative.slice(0, 60)}'`;
    return { score: 0, reason: `PATH has ${shown}` };
  }
  const writable = reachablePaths(facts, (layer) => layer.worldWritableDirs);
  const files = reachablePaths(facts, (layer) => layer.worldWritableFiles);
  for (const folder of folders.map(normalised)) {
    const open = partsOf(folder).find((part) => writable.paths.has(part) || PUBLIC_FOLDERS.includes(part));
    if (open !== undefined)
      return { score: 0, reason: `everybody may write to /${open.slice(0, 60)}, which is on PATH` };
    const file = [...files.paths].find((path) => parentOf(path) === folder);
    if (file !== undefined) return { score: 0, reason: `everybody may write to the program /${file.slice(0, 60)}` };
  }
  if (writable.unlisted + files.unlisted > 0) {
    return {
      score: UNLISTED_SCORE,
      reason: 'too many folders or files that everybody may write to were found to list them all',
    };
  }
  return { score: 1, reason: 'nobody but root may write where PATH looks' };
}

/** Without leading and double slashes and dots, as facts name paths. `..` at the root stays there. */
function normalised(folder: string): string {
  const parts: string[] = [];
  for (const part of folder.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

/** The folder and all above it: who may write to a parent can replace the folder. */
function partsOf(folder: string): string[] {
  const names = folder.split('/');
  return names.map((_, at) => names.slice(0, at + 1).join('/'));
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
