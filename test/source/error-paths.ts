// The lines of a file that run only when something fails: throws, and the bodies of catches.
import { isNode, lineOf, nodesOf, type SourceFile } from './source-file.ts';

/** Lines, from 1, on which a `throw` or a statement inside a `catch` begins. */
export function errorPathLines(file: SourceFile): Set<number> {
  const lines = new Set<number>();
  for (const node of nodesOf(file.program)) {
    if (node.type === 'ThrowStatement') lines.add(lineOf(file, node));
    if (node.type !== 'CatchClause' || !isNode(node['body'])) continue;
    for (const inside of nodesOf(node['body']))
      if (/Statement$|Declaration$/.test(inside.type)) lines.add(lineOf(file, inside));
  }
  return lines;
}
