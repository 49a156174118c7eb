// How a dependency is fetched, by the form of its origin: from a registry, or from a repository, a file or a folder.

/** True for an https or http URL of a file; false for repositories, paths and everything else. */
export function isFromRegistry(origin: string): boolean {
  return /^https?:\/\//i.test(origin) && !/\.git(?:[#?]|$)/i.test(origin);
}
