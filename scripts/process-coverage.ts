// What the processes started by tests ran, from the files that V8 leaves when NODE_V8_COVERAGE is set. Node strips types by blanks,
// so that V8's offsets are those of the sources.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PROJECT_FOLDER } from '../test/source/source-file.ts';

/** Says whether one process ran the code at a line (from 1) and column (from 0) of a file. */
export type LineCount = (line: number, column: number) => boolean;

interface V8Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface V8Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly V8Range[] }[];
}

/** File → one answer for each process that loaded it. */
export function readProcessCoverage(folder: string): Map<string, LineCount[]> {
  const counts = new Map<string, LineCount[]>();
  const sources = pathToFileURL(join(PROJECT_FOLDER, 'src/')).href;
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    const scripts = (JSON.parse(readFileSync(join(folder, name), 'utf8')) as { result: V8Script[] }).result;
    for (const script of scripts.filter(({ url }) => url.startsWith(sources))) {
      const file = fileURLToPath(script.url);
      counts.set(file, [...(counts.get(file) ?? []), lineCount(readFileSync(file, 'utf8'), script.functions)]);
    }
  }
  return counts;
}

/** The innermost range that holds an offset says whether the code there ran. */
export function lineCount(text: string, functions: V8Script['functions']): LineCount {
  const hasRun = new Uint8Array(text.length);
  // Outer ranges before the inner ones that overwrite them.
  const ranges = functions
    .flatMap((each) => each.ranges)
    .toSorted((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
  for (const { startOffset, endOffset, count } of ranges) hasRun.fill(count > 0 ? 1 : 0, startOffset, endOffset);
  const lineStarts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  return (line, column) => hasRun[(lineStarts[line - 1] ?? text.length) + column] === 1;
}
