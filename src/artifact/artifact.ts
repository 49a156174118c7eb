// What an artifact is once it was read: its digest, its parts, and how an image asks to be run.
import type { Digest } from './digest.ts';

export type ArtifactKind = 'image' | 'rootfs' | 'host' | 'file' | 'folder';

/** How an image asks to be run, from its OCI config; empty where the artifact is no image. */
export interface ImageConfig {
  readonly user: string;
  readonly env: readonly string[];
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly workingDir: string;
  /** `80/tcp` … */
  readonly exposedPorts: readonly string[];
  readonly volumes: readonly string[];
  readonly stopSignal: string | null;
  /** Unix milliseconds, null when the image does not say. */
  readonly createdMs: number | null;
  readonly labels: Readonly<Record<string, string>>;
}

/** One unpacked layer. Ownership in `dir` is as in the archive (0-based ids); `hygiene` was gathered while unpacking. */
export interface Layer {
  readonly diffId: Digest;
  /** Absolute path of the unpacked folder; overlay whiteouts are already in the kernel's form. */
  readonly dir: string;
  readonly bytes: number;
}

export interface Artifact {
  /** Image: the manifest's digest (docker-archive: the config's, which is Docker's image id). Others: see the reader. */
  readonly digest: Digest;
  readonly kind: ArtifactKind;
  /** For people: `shop/web:1.2`, or the path. */
  readonly name: string;
  /** The reference as it was given. */
  readonly reference: string;
  readonly config: ImageConfig;
  /** Lowest first. A rootfs has exactly one, whose `dir` is the folder itself. */
  readonly layers: readonly Layer[];
}
