// What a person may write to name an artifact, and what it means. Pure: looks at the text, not at the disk.
import { exitStatus } from '../base/index.ts';
import { ArtifactError, type Digest, isDigest } from './digest.ts';

/** Longest reference that is looked at: PATH_MAX. */
const REFERENCE_CHARS_MAX = 4096;

/** A way to name an artifact. `text` is what was written. */
export type Reference =
  | { readonly kind: 'oci'; readonly text: string; readonly path: string; readonly tag: string | null }
  | { readonly kind: 'docker-archive'; readonly text: string; readonly path: string; readonly tag: string | null }
  | { readonly kind: 'docker'; readonly text: string; readonly name: string }
  | RegistryReference
  | { readonly kind: 'known'; readonly text: string; readonly digest: Digest }
  | { readonly kind: 'path'; readonly text: string; readonly path: string }
  | { readonly kind: 'rootfs'; readonly text: string; readonly path: string }
  | { readonly kind: 'host'; readonly text: string };

/** An image in a registry; with a digest, the tag is only a name. */
export interface RegistryReference {
  readonly kind: 'registry';
  readonly text: string;
  /** Host, with port where one was written. */
  readonly host: string;
  readonly repository: string;
  readonly tag: string;
  readonly digest: Digest | null;
}

/** @source OCI distribution-spec, "Pulling manifests" */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const REPOSITORY_CHARS_MAX = 255;
/** A first part with a dot or a port is a registry's host, as for Docker; `localhost` is one as well. */
const HOST =
  /^(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|(?:[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?=:\d))(?::\d{1,5})?$/;

/**
 * Parses an artifact argument of the command line.
 *
 * A path that could be taken for a registry's name, such as `my.dir/app`, is written with `./` before it.
 *
 * @throws ArtifactError ARTIFACT_REFERENCE
 */
export function parseReference(text: string): Reference {
  if (text === '' || text.length > REFERENCE_CHARS_MAX || text.includes('\0'))
    throw badReference(text, 'it is empty or too long');
  if (isDigest(text)) return { kind: 'known', text, digest: text };
  if (text.startsWith('sha256:')) throw badReference(text, 'a digest has 64 lower-case hex digits');
  const colon = text.indexOf(':');
  const rest = text.slice(colon + 1);
  switch (text.slice(0, Math.max(colon, 0))) {
    case 'oci':
      return { kind: 'oci', text, ...pathAndTag(text, rest) };
    case 'docker-archive':
      return { kind: 'docker-archive', text, ...pathAndTag(text, rest) };
    case 'docker':
      return parseDockerName(text, rest);
    default:
      return parseRegistry(text) ?? { kind: 'path', text, path: text };
  }
}

/** Parses the folder of `--rootfs`: `/` is the host's own root. @throws ArtifactError ARTIFACT_REFERENCE */
export function parseRootfs(dir: string): Reference {
  if (dir === '' || dir.length > REFERENCE_CHARS_MAX || dir.includes('\0'))
    throw badReference(dir, 'it is empty or too long');
  return /^\/+$/.test(dir) ? { kind: 'host', text: '/' } : { kind: 'rootfs', text: dir, path: dir };
}

/** `PATH[:TAG]`: what follows the last colon is a tag when it can be one and holds no slash. */
function pathAndTag(text: string, rest: string): { path: string; tag: string | null } {
  const colon = rest.lastIndexOf(':');
  const after = rest.slice(colon + 1);
  const isTagged = colon !== -1 && !after.includes('/');
  const path = isTagged ? rest.slice(0, colon) : rest;
  if (path === '') throw badReference(text, 'the path is missing');
  if (isTagged && !TAG.test(after)) throw badReference(text, `'${after.slice(0, 80)}' is not a tag`);
  return { path, tag: isTagged ? after : null };
}

function parseDockerName(text: string, name: string): Reference {
  // The name becomes part of a URL of the engine: only what a Docker name may hold passes.
  if (!/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}$/.test(name) || name.includes('..'))
    throw badReference(text, 'it is no name of a Docker image');
  return { kind: 'docker', text, name };
}

function parseRegistry(text: string): RegistryReference | null {
  const slash = text.indexOf('/');
  const host = text.slice(0, Math.max(slash, 0));
  if (!HOST.test(host)) return null;
  const [named = '', digest, ...more] = text.slice(slash + 1).split('@');
  if (more.length > 0 || (digest !== undefined && !isDigest(digest)))
    throw badReference(text, 'what follows @ is no SHA-256 digest');
  const colon = named.indexOf(':');
  const repository = colon === -1 ? named : named.slice(0, colon);
  const tag = colon === -1 ? 'latest' : named.slice(colon + 1);
  if (!REPOSITORY.test(repository) || repository.length > REPOSITORY_CHARS_MAX) {
    throw badReference(
      text,
      `'${repository.slice(0, 80)}' is no repository name (lower-case letters, digits, separators)`,
    );
  }
  if (!TAG.test(tag)) throw badReference(text, `'${tag.slice(0, 80)}' is not a tag`);
  return { kind: 'registry', text, ...dockerHub(host, repository), tag, digest: digest ?? null };
}

/** Docker's own registry is called by another name than its host, and its official images have no folder. */
function dockerHub(host: string, repository: string): { host: string; repository: string } {
  if (host !== 'docker.io' && host !== 'index.docker.io') return { host, repository };
  return { host: 'registry-1.docker.io', repository: repository.includes('/') ? repository : `library/${repository}` };
}

function badReference(text: string, why: string): ArtifactError {
  return new ArtifactError('ARTIFACT_REFERENCE', `'${text.slice(0, 120)}' does not name an artifact: ${why}`, {
    exit: exitStatus.usage,
    hint: 'Write a file, a folder, oci:DIR[:TAG], docker-archive:FILE[:TAG], docker:NAME, registry/name[:tag|@sha256:…] or sha256:…; put ./ before a path.',
  });
}
