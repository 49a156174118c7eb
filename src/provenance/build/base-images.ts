// Base images that Dockerfiles pin by digest: materials of whatever is built from them.
import type { Resource } from '../resource.ts';

const LINES_MAX = 20_000;
const IMAGE = /^\s*FROM\s+(?:--\S+\s+)*((?:[a-z0-9][a-z0-9._:/-]{0,300})@sha256:([0-9a-f]{64}))(?:\s|$)/i;

/** True for a Dockerfile by its path. */
export function isDockerfile(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return /^(?:Dockerfile|Containerfile)(?:\..{1,64})?$|\.(?:Dockerfile|dockerfile)$/.test(name);
}

/** The images that a Dockerfile's FROM lines name by digest, each once. Those without a digest name nothing that could be checked. */
export function pinnedImages(dockerfile: string): Resource[] {
  const found = new Map<string, Resource>();
  for (const line of dockerfile.split('\n', LINES_MAX)) {
    const [, name, digest] = IMAGE.exec(line.slice(0, 1024)) ?? [];
    if (name === undefined || digest === undefined) continue;
    found.set(name, { name, uri: null, digests: new Map([['sha256', digest.toLowerCase()]]) });
  }
  return [...found.values()];
}
