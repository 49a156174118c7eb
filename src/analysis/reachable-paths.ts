// Which of the paths that layers hold are still there when the layers lie on top of each other.
import type { LayerFacts, PathList } from '../artifact/index.ts';

/** Paths that are still reachable. Lists in the facts are cut at a limit: `unlisted` more may be there. */
export interface ReachablePaths {
  readonly paths: ReadonlySet<string>;
  readonly unlisted: number;
}

/** Lays one list of each layer on top of the others, lowest first. What a truncated list hides counts as still there. */
export function reachablePaths(facts: readonly LayerFacts[], listOf: (layer: LayerFacts) => PathList): ReachablePaths {
  const paths = new Set<string>();
  let unlisted = 0;
  for (const layer of facts) {
    for (const path of paths) if (isRemoved(path, layer.removes)) paths.delete(path);
    const list = listOf(layer);
    for (const path of list.paths) paths.add(path);
    unlisted += list.count - list.paths.length;
  }
  return { paths, unlisted };
}

/** A removal names a file or folder, or with a trailing slash a folder whose content of lower layers is hidden. */
function isRemoved(path: string, removes: PathList): boolean {
  return removes.paths.some((gone) =>
    gone.endsWith('/') ? path.startsWith(gone) : path === gone || path.startsWith(`${gone}/`),
  );
}
