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
export type { LayerFacts, PathList, SecretFinding, SecretKind } from './layer-facts.ts';
export { parseReference, parseRootfs, type Reference, type RegistryReference } from './reference.ts';
export { type ContentStore, layerFacts, openContentStore } from './content-store.ts';
export type { Progress } from './image.ts';
export { resolveArtifact, type ResolveOptions } from './resolve.ts';
export { type UnpackLimits, unpackLimits } from './unpack.ts';
export { type TarInput, tarOf, tarOfFolder } from './tar-writer.ts';
export { type OciLayoutInput, writeOciLayout, type WrittenLayout } from './oci-writer.ts';
export { type ArtifactFile, type FileSearch, findFiles, type FoundFiles } from './layer-files.ts';
export { type Contents, findContents, type SoughtFile } from './contents.ts';
