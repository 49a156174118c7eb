// Reading V8's ranges: the innermost one decides.
import { expect, it } from 'vitest';
import { lineCount } from './process-coverage.ts';

const TEXT = 'one();\nif (x) {\n  two();\n}\nfunction f() {\n  three();\n}\n';
const range = (part: string, count: number): { startOffset: number; endOffset: number; count: number } => ({
  startOffset: TEXT.indexOf(part),
  endOffset: TEXT.indexOf(part) + part.length,
  count,
});

it('asks the innermost range, in whatever order they come', () => {
  const hasRun = lineCount(TEXT, [
    { ranges: [range('function f() {\n  three();\n}', 0)] },
    { ranges: [{ startOffset: 0, endOffset: TEXT.length, count: 1 }, range('{\n  two();\n}', 0)] },
  ]);
  expect([hasRun(1, 0), hasRun(2, 0), hasRun(3, 2), hasRun(6, 2)]).toEqual([true, true, false, false]);
});

it('says no beyond the end of the file', () => {
  expect(lineCount('a();\n', [{ ranges: [{ startOffset: 0, endOffset: 5, count: 1 }] }])(9, 0)).toBe(false);
});
