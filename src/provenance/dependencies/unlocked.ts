// Manifests that ask for dependencies which no lockfile pins: what is installed is then whatever is newest that day.
import { posix } from 'node:path';
import { z } from 'zod';
import { shown } from '../excerpt.ts';
import type { DependencyFinding } from './dependency.ts';
import { parseJsonDocument } from './document.ts';
import { parseGoMod } from './go-mod.ts';
import { npmSpecs, wireSpecs } from './npm-package.ts';

const NPM_LOCKS = ['package-lock.json', 'npm-shrinkwrap.json', 'yarn.lock', 'pnpm-lock.yaml'];

/**
 * Manifests without a lockfile in their folder or, as workspaces have it, in one above.
 *
 * @param manifests by path
 * @param paths of all files of the artifact that are read
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES for a manifest that cannot be read
 */
export function unlockedFindings(
  manifests: ReadonlyMap<string, Uint8Array>,
  paths: readonly string[],
): DependencyFinding[] {
  const known = new Set(paths);
  return [...manifests].flatMap(([path, bytes]): DependencyFinding[] => {
    const subject = shown(path).slice(1, -1);
    const isNpm = posix.basename(path) === 'package.json';
    const locks = isNpm ? NPM_LOCKS : ['go.sum'];
    if (foldersAbove(path).some((folder) => locks.some((lock) => known.has(posix.join(folder, lock))))) return [];
    const asked = isNpm ? askedByNpm(bytes, subject) : parseGoMod(bytes, subject).requires.length;
    const detail = `it asks for ${asked} dependencies, and no lockfile pins them`;
    return asked === 0 ? [] : [{ kind: 'not-pinned', subject, detail }];
  });
}

function askedByNpm(bytes: Uint8Array, what: string): number {
  const manifest = parseJsonDocument(bytes, z.object(wireSpecs), what);
  return npmSpecs(manifest).filter(({ kind }) => kind !== 'peerDependencies').length;
}

/** The folder of a file and all above it, down to the root. */
function foldersAbove(path: string): string[] {
  const folders = [posix.dirname(path)];
  for (let folder = posix.dirname(path); folder !== '.' && folder !== '/';) {
    folder = posix.dirname(folder);
    folders.push(folder);
  }
  return folders;
}
