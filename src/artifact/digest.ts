// Digests and artifacts: immutable things, named by their SHA-256.
import { exitStatus, ProvostError, sha256Hex } from '../base/index.ts';

export type ArtifactErrorCode =
  | 'ARTIFACT_REFERENCE'
  | 'ARTIFACT_NOT_FOUND'
  | 'ARTIFACT_UNREADABLE'
  | 'ARTIFACT_DIGEST'
  | 'ARTIFACT_HOSTILE'
  | 'ARTIFACT_TOO_LARGE'
  | 'ARTIFACT_UNSUPPORTED'
  | 'ARTIFACT_REGISTRY'
  | 'ARTIFACT_REGISTRY_DENIED'
  | 'ARTIFACT_NOT_ROOT'
  | 'ARTIFACT_NO_SPACE';

export class ArtifactError extends ProvostError<ArtifactErrorCode> {}

declare const digestBrand: unique symbol;

/** `sha256:` and 64 lower-case hex digits; made only by {@link parseDigest} and {@link digestOf}. */
export type Digest = string & { readonly [digestBrand]: 'Digest' };

const DIGEST = /^sha256:[0-9a-f]{64}$/;

/** True for the text form of a SHA-256 digest. */
export function isDigest(text: string): text is Digest {
  return DIGEST.test(text);
}

/**
 * Parses `sha256:<64 hex>`.
 *
 * @throws ArtifactError ARTIFACT_REFERENCE for any other text; other algorithms are not supported
 */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new ArtifactError('ARTIFACT_REFERENCE', `'${text.slice(0, 80)}' is not a SHA-256 digest`, {
      exit: exitStatus.usage,
      hint: 'Write sha256: and 64 lower-case hex digits.',
    });
  }
  return text;
}

/** The digest of bytes, or of the UTF-8 form of a text. */
export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${sha256Hex(data)}` as Digest;
}

/** The 64 hex digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
