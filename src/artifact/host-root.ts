// Names the host's own root file system without reading all of it: what system it is, and which packages it has.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { canonicalJson, errnoOf } from '../base/index.ts';
import type { Artifact } from './artifact.ts';
import { type Digest, digestOf } from './digest.ts';
import { emptyConfig } from './image-documents.ts';
import { unreadable } from './refusal.ts';

/** Where distributions keep what is installed: dpkg, rpm (two forms), apk, pacman's has no one file. */
const PACKAGE_DATABASES = [
  'var/lib/dpkg/status',
  'var/lib/rpm/rpmdb.sqlite',
  'var/lib/rpm/Packages',
  'usr/lib/sysimage/rpm/rpmdb.sqlite',
  'lib/apk/db/installed',
] as const;

const OS_RELEASE = ['etc/os-release', 'usr/lib/os-release'] as const;

/**
 * Names the host's root by its release and its package databases. docs/decisions/0002-what-a-root-file-system-is-named-by.md says why.
 *
 * @param root `/`, or another root in tests
 * @throws ArtifactError ARTIFACT_UNREADABLE when the host says neither what it is nor what it has
 */
export function readHostRoot(root: string, reference: string): Artifact {
  const osRelease = firstDigest(root, OS_RELEASE);
  const packages = Object.fromEntries(
    PACKAGE_DATABASES.flatMap((path) => {
      const digest = fileDigest(join(root, path));
      return digest === null ? [] : [[path, digest]];
    }),
  );
  if (osRelease === null && Object.keys(packages).length === 0) {
    throw unreadable(`'${root}' has no os-release and no package database to be named by`);
  }
  const digest = digestOf(canonicalJson({ kind: 'host', osRelease, packages }));
  const layers = [{ diffId: digest, dir: root, bytes: 0 }];
  return { digest, kind: 'host', name: root, reference, config: emptyConfig, layers };
}

function firstDigest(root: string, paths: readonly string[]): Digest | null {
  for (const path of paths) {
    const digest = fileDigest(join(root, path));
    if (digest !== null) return digest;
  }
  return null;
}

function fileDigest(path: string): Digest | null {
  try {
    return digestOf(readFileSync(path));
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return null;
    throw unreadable(`'${path}' cannot be read`, error);
  }
}
