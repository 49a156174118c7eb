// SLSA provenance v1: how an artifact was built, from what, by whom.
import { z } from 'zod';

import { exitStatus, KIB, rfc3339 } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { faultsOf } from '../excerpt.ts';
import { label, type Resource, resources, timestamp, uri, wireResource } from '../resource.ts';

/** JSON objects whose members only the build type gives a meaning. */
type Parameters = Readonly<Record<string, unknown>>;

/** Provenance, read. */
export interface SlsaProvenance {
  readonly buildType: string;
  /** Under the control of whoever asked for the build: to be checked. */
  readonly externalParameters: Parameters;
  /** Under the builder's control. */
  readonly internalParameters: Parameters;
  /** What the build took in: the next links of the chain. */
  readonly resolvedDependencies: readonly Resource[];
  readonly builder: {
    readonly id: string;
    readonly version: ReadonlyMap<string, string>;
    readonly dependencies: readonly Resource[];
  };
  readonly metadata: {
    readonly invocationId: string | null;
    readonly startedMs: number | null;
    readonly finishedMs: number | null;
  };
  readonly byproducts: readonly Resource[];
}

const parameters = z.record(z.string().max(4 * KIB), z.unknown());

// Fields that are not named are ignored, as the specification demands; these must be well-formed where they are.
const wireProvenance = z.object({
  buildDefinition: z.object({
    buildType: uri,
    externalParameters: parameters,
    internalParameters: parameters.default({}),
    resolvedDependencies: resources,
  }),
  runDetails: z.object({
    builder: z.object({
      id: uri,
      version: z.record(z.string().max(256), label).default({}),
      builderDependencies: resources,
    }),
    metadata: z
      .object({ invocationId: label.optional(), startedOn: timestamp.optional(), finishedOn: timestamp.optional() })
      .refine(
        ({ startedOn, finishedOn }) => startedOn === undefined || finishedOn === undefined || startedOn <= finishedOn,
        'it finished before it started',
      )
      .default({}),
    byproducts: resources,
  }),
});

/**
 * Parses the predicate of a statement of type `https://slsa.dev/provenance/v1`.
 *
 * @throws ProvenanceError PROVENANCE_SLSA when a field that the specification names is missing or malformed
 * @source https://slsa.dev/spec/v1.0/provenance
 */
export function parseSlsaProvenance(predicate: unknown): SlsaProvenance {
  const parsed = wireProvenance.safeParse(predicate);
  if (!parsed.success) throw notSlsa(faultsOf(parsed.error), exitStatus.verificationFailed);
  const { buildDefinition, runDetails } = parsed.data;
  const { builder, metadata, byproducts } = runDetails;
  return {
    ...buildDefinition,
    builder: {
      id: builder.id,
      version: new Map(Object.entries(builder.version)),
      dependencies: builder.builderDependencies,
    },
    metadata: {
      invocationId: metadata.invocationId ?? null,
      startedMs: metadata.startedOn ?? null,
      finishedMs: metadata.finishedOn ?? null,
    },
    byproducts,
  };
}

/**
 * Makes the predicate that says this; {@link parseSlsaProvenance} reads it back.
 *
 * @throws ProvenanceError PROVENANCE_SLSA when it would not be valid
 */
export function makeSlsaProvenance(provenance: SlsaProvenance): Record<string, unknown> {
  const { builder, metadata, byproducts, resolvedDependencies, ...definition } = provenance;
  const predicate = {
    buildDefinition: { ...definition, resolvedDependencies: resolvedDependencies.map(wireResource) },
    runDetails: {
      builder: {
        id: builder.id,
        ...(builder.version.size === 0 ? {} : { version: Object.fromEntries(builder.version) }),
        ...(builder.dependencies.length === 0 ? {} : { builderDependencies: builder.dependencies.map(wireResource) }),
      },
      metadata: {
        ...(metadata.invocationId === null ? {} : { invocationId: metadata.invocationId }),
        ...(metadata.startedMs === null ? {} : { startedOn: rfc3339(metadata.startedMs) }),
        ...(metadata.finishedMs === null ? {} : { finishedOn: rfc3339(metadata.finishedMs) }),
      },
      byproducts: byproducts.map(wireResource),
    },
  };
  const parsed = wireProvenance.safeParse(predicate);
  if (!parsed.success) throw notSlsa(faultsOf(parsed.error), exitStatus.usage);
  return predicate;
}

function notSlsa(why: string, exit: 2 | 4): ProvenanceError {
  return new ProvenanceError('PROVENANCE_SLSA', `the SLSA provenance is not valid: ${why}`, {
    exit,
    hint: 'It needs a build type, external parameters and a builder id; digests are in lower-case hex, times in UTC.',
  });
}
