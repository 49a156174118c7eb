// What recording a build and doing it again share: who runs the command, what went in, and what came out.
import { lstatSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import {
  type ContentStore,
  digestOf,
  hexOf,
  parseReference,
  type Reference,
  resolveArtifact,
} from '../artifact/index.ts';
import { exitStatus, messageOf, MIB } from '../base/index.ts';
import { isDependencyFile, isDockerfile, pinnedImages, type Resource } from '../provenance/index.ts';
import { EngineError } from './errors.ts';
import { policyInForce } from './reading.ts';
import type { WorkTree, WorkTreeGit } from './work-tree.ts';

/** Files that are materials by themselves; of a larger one nobody would want to know. */
const MATERIAL_FILES_MAX = 2048;
const MATERIAL_BYTES_MAX = 256 * MIB;

/** Where a work tree's top is in the sandbox of an isolated build, wherever it is on the host: what is built there can be built again. */
export const ISOLATED_TOP = '/build';

/** A command that is part of a build. */
export interface BuildStep {
  readonly argv: readonly string[];
  readonly tree: WorkTree;
  readonly isIsolated: boolean;
  /** The whole environment of an isolated step; variables over its own for one on the host. */
  readonly env: Readonly<Record<string, string>>;
}

/** What builds need of the edge, which may start processes. */
export interface BuildHost {
  readonly git: WorkTreeGit;
  /** Runs a step to its end, its output shown; resolves to its exit status. */
  run(step: BuildStep): Promise<number>;
  /** The first line that a tool says of its version; null when there is no such tool. */
  toolVersion(tool: string, args: readonly string[]): Promise<string | null>;
}

/** Something that a build made. */
export interface Product {
  /** How it was named: a path from the work folder, or another reference. */
  readonly name: string;
  readonly digest: string;
}

/** Reads a product by its name: what the work folder has under it, else any reference. @throws ArtifactError any of its codes */
export async function readProduct(store: ContentStore, { dir }: Pick<WorkTree, 'dir'>, name: string): Promise<Product> {
  const isThere = lstatSync(join(dir, name), { throwIfNoEntry: false }) !== undefined;
  const reference: Reference = isThere ? { kind: 'path', text: name, path: name } : parseReference(name);
  const { digest } = await resolveArtifact(reference, { store, baseDir: dir });
  return { name, digest };
}

/** Lockfiles, and the images that Dockerfiles pin, of all that git tracks. */
export function trackedMaterials({ top }: WorkTree, tracked: readonly string[]): Resource[] {
  const wanted = tracked.filter((path) => isDependencyFile(path) || isDockerfile(path));
  if (wanted.length > MATERIAL_FILES_MAX) {
    throw new EngineError('ENGINE_WORK_TREE', `it has more than ${MATERIAL_FILES_MAX} lockfiles and Dockerfiles`, {
      exit: exitStatus.usage,
      hint: 'Build a part of it in a work tree of its own.',
    });
  }
  const images = new Map<string, Resource>();
  const files = wanted.flatMap((path): Resource[] => {
    const bytes = readTracked(join(top, path));
    if (bytes === null) return [];
    if (!isDockerfile(path)) return [{ name: path, uri: null, digests: new Map([['sha256', hexOf(digestOf(bytes))]]) }];
    for (const image of pinnedImages(bytes.toString('utf8'))) images.set(image.name ?? '', image);
    return [];
  });
  return [...files, ...images.values()];
}

/** Null for what is not there as a file: it was removed, which a dirty work tree may say, or is a link. */
function readTracked(path: string): Buffer | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() !== true) return null;
  try {
    if (stat.size > MATERIAL_BYTES_MAX) throw new Error(`it has more than ${MATERIAL_BYTES_MAX} bytes`);
    return readFileSync(path);
  } catch (error) {
    throw new EngineError('ENGINE_WORK_TREE', `${path} cannot be read: ${messageOf(error)}`, {
      exit: exitStatus.usage,
      hint: 'What goes into a build must be readable.',
      cause: error,
    });
  }
}

/**
 * The policy that an isolated build runs under: the home's, with everything that was asked for but a network, whatever the host's root
 * has earned, and nothing done about what compilers do.
 */
export function isolatedBuildPolicy(homeDir: string): { readonly source: string; readonly text: string } {
  const { document } = policyInForce(homeDir);
  const grant = {
    ...{ cpuShare: 1, cpuMax: null, memoryShare: 1, memoryMax: null },
    ...{ network: 'isolated', rate: null, logging: 'standard', launchProfile: 'standard' },
  };
  const container = ['container'];
  const policy = {
    ...(document as Record<string, unknown>),
    name: 'isolated-build',
    mode: 'enforce',
    grants: { high: grant, medium: grant, low: grant },
    isolation: { high: container, medium: container, low: container },
    rules: [],
    responses: [],
  };
  return { source: 'record build --isolated', text: JSON.stringify(policy) };
}
