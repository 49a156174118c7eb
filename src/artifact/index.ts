// Reads artifacts from wherever they are, checks every digest, and keeps them by digest.
export {
  ArtifactError,
  type ArtifactErrorCode,
  type Digest,
  digestOf,
  hexOf,
  isDigest,
  parseDigest,
} from './digest.ts';
export type { Artifact, ArtifactKind, ImageConfig, Layer } from './artifact.ts';
export { FACT_PATHS_MAX, type LayerFacts, type PathList, type SecretFinding, type SecretKind } from './layer-facts.ts';
