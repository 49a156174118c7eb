// Predicate types of the lifecycle: what a statement speaks of, which leaf it becomes, and who may say it.
import { SOURCE_PREDICATE_TYPE } from './git/source-predicate.ts';
import type { TrustRole } from './key-records.ts';
import type { LeafKind } from './leaf.ts';
import { RELEASE_TYPE, SLSA_PROVENANCE_TYPE } from './statement.ts';

/** Tests and their result. @source https://github.com/in-toto/attestation, spec/predicates/test-result.md */
export const TEST_RESULT_TYPE = 'https://in-toto.io/attestation/test-result/v0.1';

/** Our own: a package (an image, a bundle, an archive) and the products that it was made from. */
export const PACKAGE_TYPE = 'https://provost.dev/attestation/package/v1';

/** Our own: a home started a workload from this artifact. */
export const DEPLOY_TYPE = 'https://provost.dev/attestation/deploy/v1';

/** How code behaves when it runs, as a monitor saw it: what a baseline travels as. @source https://github.com/in-toto/attestation, spec/predicates/runtime-trace.md, v0.1 */
export const RUNTIME_TRACE_TYPE = 'https://in-toto.io/attestation/runtime-trace/v0.1';

/** Our own: a second person read a commit, or what was made from it, and agrees. */
export const REVIEW_TYPE = 'https://provost.dev/attestation/review/v1';

/** Our own: somebody built it again from the same materials, and compared the digests. */
export const REPRODUCTION_TYPE = 'https://provost.dev/attestation/reproduction/v1';

/** Documents of what an artifact is made of; a version may follow. @source https://github.com/in-toto/attestation, spec/predicates */
const SBOM_TYPES = ['https://cyclonedx.org/bom', 'https://spdx.dev/Document'] as const;
const TEST_RESULT_TYPES = 'https://in-toto.io/attestation/test-result/';
const RUNTIME_TRACE_TYPES = 'https://in-toto.io/attestation/runtime-trace/';
const VULNERABILITY_TYPES = 'https://in-toto.io/attestation/vulns/';

/** The stage of the lifecycle that a predicate speaks of: what its leaf is. */
export function kindOfPredicate(predicateType: string): LeafKind {
  if (predicateType === SLSA_PROVENANCE_TYPE || predicateType === REPRODUCTION_TYPE) return 'build';
  if (predicateType === SOURCE_PREDICATE_TYPE || predicateType === REVIEW_TYPE) return 'source';
  if (predicateType === DEPLOY_TYPE) return 'deploy';
  if (isSbomType(predicateType)) return 'deps';
  if (predicateType.startsWith(RUNTIME_TRACE_TYPES)) return 'runtime';
  if (predicateType.startsWith(TEST_RESULT_TYPES)) return 'test';
  return predicateType.startsWith(VULNERABILITY_TYPES) ? 'vuln' : 'package';
}

/** True for a list of dependencies, CycloneDX or SPDX. */
export function isSbomType(predicateType: string): boolean {
  return SBOM_TYPES.some((type) => predicateType === type || predicateType.startsWith(`${type}/`));
}

/** Predicate types by which a role says that an artifact is what it should be, when its trust record lists none. */
export const ORIGIN_PREDICATE_TYPES: Readonly<Record<TrustRole, readonly string[]>> = {
  publisher: [RELEASE_TYPE, SLSA_PROVENANCE_TYPE],
  builder: [SLSA_PROVENANCE_TYPE],
  // A reviewer's or an operator's word is not the origin of an artifact.
  reviewer: [],
  operator: [],
};

/** Predicate types that a role may say into a log when its trust record lists none: what it does in the life of the code. */
export const LOGGED_PREDICATE_TYPES: Readonly<Record<TrustRole, readonly string[]>> = {
  publisher: [SOURCE_PREDICATE_TYPE, RELEASE_TYPE, SLSA_PROVENANCE_TYPE, PACKAGE_TYPE, TEST_RESULT_TYPE, ...SBOM_TYPES],
  builder: [SLSA_PROVENANCE_TYPE, PACKAGE_TYPE, TEST_RESULT_TYPE, REPRODUCTION_TYPE, ...SBOM_TYPES],
  reviewer: [REVIEW_TYPE, REPRODUCTION_TYPE],
  // What is normal on a host, its operators say; a publisher or a builder only where its trust record lists the type.
  operator: [DEPLOY_TYPE, RUNTIME_TRACE_TYPE],
};
