// A build that was a command in a work tree: its SLSA provenance, and what a rebuild needs of it.
import { z } from 'zod';

import { type Digest, hexOf } from '../../artifact/index.ts';
import { exitStatus } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { faultsOf } from '../excerpt.ts';
import { digestOfResource, type Resource } from '../resource.ts';
import { makeSlsaProvenance, parseSlsaProvenance, type SlsaProvenance } from '../slsa/provenance.ts';
import type { BuildEnvironment } from './environment.ts';

/** `buildType` of what {@link describeBuild} makes. */
export const COMMAND_BUILD_TYPE = 'https://provost.dev/build-types/command/v1';

const BUILDERS = 'https://provost.dev/builder';
const ARGUMENTS_MAX = 1024;
const ARGUMENT_CHARS_MAX = 128 * 1024;

/** What a build did, as whoever ran it saw it. */
export interface CommandBuild {
  readonly command: readonly string[];
  /** In a sandbox without a network, or on the host. */
  readonly isIsolated: boolean;
  /** Where it ran, from the top of the work tree, with slashes; empty for the top. */
  readonly workdir: string;
  /** What ran before it with the network, by a shell; null: nothing. */
  readonly fetch: string | null;
  /** The work tree was the commit's, and nothing else was in it but what git ignores. */
  readonly isClean: boolean;
  readonly environment: BuildEnvironment;
  readonly commit: { readonly uri: string; readonly id: string; readonly digest: Digest };
  /** Lockfiles, base images, and what else went in beside the commit. */
  readonly materials: readonly Resource[];
}

/** A build with who ran it, and when. */
export interface FinishedBuild extends CommandBuild {
  readonly homeId: string;
  readonly builderVersion: string;
  readonly invocationId: string;
  readonly startedMs: number;
  readonly finishedMs: number;
}

/** Who builds on a home, as its provenance names it. */
export function builderId(homeId: string, { isIsolated }: Pick<CommandBuild, 'isIsolated'>): string {
  return `${BUILDERS}/${homeId}${isIsolated ? '/isolated' : ''}`;
}

/**
 * Makes the SLSA provenance of a build; its first material is the commit, by the digest of its source attestation.
 *
 * @throws ProvenanceError PROVENANCE_SLSA when it would not be valid
 */
export function describeBuild(build: FinishedBuild): Record<string, unknown> {
  const { command, isIsolated, workdir, fetch, isClean, environment, commit } = build;
  const source: Resource = {
    name: null,
    uri: commit.uri,
    digests: new Map([
      ['gitCommit', commit.id],
      ['sha256', hexOf(commit.digest)],
    ]),
  };
  return makeSlsaProvenance({
    buildType: COMMAND_BUILD_TYPE,
    externalParameters: {
      command,
      isolated: isIsolated,
      ...(workdir === '' ? {} : { workdir }),
      ...(fetch === null ? {} : { fetch }),
    },
    internalParameters: { environment, isClean },
    resolvedDependencies: [source, ...build.materials],
    builder: {
      id: builderId(build.homeId, build),
      version: new Map([['provost', build.builderVersion]]),
      dependencies: [],
    },
    metadata: { invocationId: build.invocationId, startedMs: build.startedMs, finishedMs: build.finishedMs },
    byproducts: [],
  });
}

/** A folder below the top: no way out of it, and no other spelling of it. */
const workdirPath = z
  .string()
  .min(1)
  .max(4096)
  .regex(/^(?!\/)[^\0]*[^/\0]$/)
  .refine((path) => path.split('/').every((part) => !['', '.', '..', '.git'].includes(part)), 'a folder below the top');

const external = z.object({
  command: z.array(z.string().max(ARGUMENT_CHARS_MAX)).min(1).max(ARGUMENTS_MAX),
  isolated: z.boolean(),
  workdir: workdirPath.default(''),
  fetch: z.string().max(ARGUMENT_CHARS_MAX).nullable().default(null),
});

const internal = z.object({
  isClean: z.boolean(),
  environment: z.object({
    variables: z.record(z.string().max(256), z.string().max(ARGUMENT_CHARS_MAX)),
    otherNames: z.array(z.string()),
    tools: z.record(z.string(), z.string()),
    platform: z.string(),
  }),
});

/**
 * Reads a build back from its provenance, so that it can be done again.
 *
 * @throws ProvenanceError PROVENANCE_SLSA when it is no provenance, or PROVENANCE_BUILD_TYPE when it is not of such a build
 */
export function parseBuild(predicate: unknown): CommandBuild & { readonly provenance: SlsaProvenance } {
  const provenance = parseSlsaProvenance(predicate);
  if (provenance.buildType !== COMMAND_BUILD_TYPE) throw otherBuild(`its build type is another one`);
  const [outside, inside] = [
    external.safeParse(provenance.externalParameters),
    internal.safeParse(provenance.internalParameters),
  ];
  if (!outside.success) throw otherBuild(faultsOf(outside.error));
  if (!inside.success) throw otherBuild(faultsOf(inside.error));
  const [source, ...materials] = provenance.resolvedDependencies;
  const [id, digest] = [source?.digests.get('gitCommit'), source === undefined ? null : digestOfResource(source)];
  if (id === undefined || digest === null) throw otherBuild('its first material is no commit');
  const { command, isolated: isIsolated, workdir, fetch } = outside.data;
  const { isClean, environment } = inside.data;
  const commit = { uri: source?.uri ?? '', id, digest };
  return { command, isIsolated, workdir, fetch, isClean, environment, commit, materials, provenance };
}

function otherBuild(why: string): ProvenanceError {
  return new ProvenanceError('PROVENANCE_BUILD_TYPE', `the provenance is not of a build by command: ${why}`, {
    exit: exitStatus.evidenceMissing,
    hint: 'Only what provost record build recorded can be built again here.',
  });
}
