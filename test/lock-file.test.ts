// The lock file is complete: `npm ci` refuses one that names a package which it does not hold, and then nothing of Provost installs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PROJECT_FOLDER } from './source/source-file.ts';

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

const lock = JSON.parse(readFileSync(join(PROJECT_FOLDER, 'package-lock.json'), 'utf8')) as {
  packages: Record<string, LockedPackage>;
};
const manifest = JSON.parse(readFileSync(join(PROJECT_FOLDER, 'package.json'), 'utf8')) as LockedPackage;

/** Whether Node would find `name` from the folder of a package: inside it, or inside any folder above. */
function isHeld(name: string, from: string): boolean {
  const folders = [from, ...[...from.matchAll(/\/?node_modules\//g)].map(({ index }) => from.slice(0, index))];
  return folders.some((folder) => Object.hasOwn(lock.packages, `${folder}/node_modules/${name}`.replace(/^\//, '')));
}

it('holds every package that it names', () => {
  const missing = Object.entries(lock.packages).flatMap(
    ([path, { dependencies, devDependencies, optionalDependencies }]) =>
      Object.keys({ ...dependencies, ...devDependencies, ...optionalDependencies })
        .filter((name) => !isHeld(name, path))
        .map((name) => `${path} → ${name}`),
  );
  expect(Object.keys(lock.packages).length).toBeGreaterThan(50);
  // A registry that lacks builds for other systems leaves such names behind; take them out of optionalDependencies.
  expect(missing).toEqual([]);
});

it('pins each by its digest', () => {
  const loose = Object.entries(lock.packages).filter(([path, { integrity }]) => path !== '' && integrity === undefined);
  expect(loose.map(([path]) => path)).toEqual([]);
});

it('belongs to package.json as it is', () => {
  const root = lock.packages[''];
  expect(root?.dependencies).toEqual(manifest.dependencies);
  expect(root?.devDependencies).toEqual(manifest.devDependencies);
});
