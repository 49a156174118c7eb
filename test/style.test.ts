// The house style, as far as a program can see it: names, first lines, sizes, doc strings of doors, error codes.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { errorCodesOf, errorPage } from './source/error-codes.ts';
import { parseSource, PROJECT_FOLDER, readSources, type SourceFile } from './source/source-file.ts';
import { doorBreaches, styleBreaches } from './source/style.ts';

const files = readSources('src', 'test', 'bench', 'scripts');
const byPath: ReadonlyMap<string, SourceFile> = new Map(files.map((file) => [file.path, file]));
const doors = files.filter(({ path }) => /^src\/[^/]+\/index\.ts$/.test(path));
const testText = files.flatMap(({ path, text }) => (path.endsWith('.test.ts') ? [text] : [])).join('\n');

/** Fewer than this, and the check has looked in the wrong place. */
const FILES_MIN = 60;
const DOORS_MIN = 8;
const CODES_MIN = 20;

describe('the sources', () => {
  it('keep to the style', () => {
    expect(files.length).toBeGreaterThan(FILES_MIN);
    expect(files.flatMap((file) => styleBreaches(file))).toEqual([]);
  });

  it('document what their doors export', () => {
    expect(doors.length).toBeGreaterThan(DOORS_MIN);
    expect(doors.flatMap((door) => doorBreaches(door, byPath))).toEqual([]);
  });
});

describe('the error codes', () => {
  const codes = errorCodesOf(files);

  it('belong to their room by name, and to no other', () => {
    expect(codes.length).toBeGreaterThan(CODES_MIN);
    expect(codes.filter(({ code, room }) => !code.startsWith(`${room.toUpperCase()}_`))).toEqual([]);
    expect(new Set(codes.map(({ code }) => code)).size).toBe(codes.length);
  });

  it('are each raised by the code', () => {
    expect(codes.filter(({ isRaised }) => !isRaised).map(({ code }) => code)).toEqual([]);
  });

  it('are each raised in a test', () => {
    expect(codes.filter(({ code }) => !testText.includes(code)).map(({ code }) => code)).toEqual([]);
  });

  it('are listed in docs/errors.md as the sources have them', () => {
    const page = readFileSync(join(PROJECT_FOLDER, 'docs/errors.md'), 'utf8');
    expect(page, 'run: npm run docs:errors').toBe(errorPage(codes));
  });
});

const FIRST_LINE = '// What this file is for.\n';

describe('the check', () => {
  it.each([
    ['a name in camel case', 'src/base/bigFile.ts', ''],
    ['a name with an underscore', 'src/base/big_file.ts', ''],
    ['a name that says nothing', 'src/base/utils.ts', ''],
    ['a name that ends in nothing', 'src/base/cgroup-helpers.ts', ''],
    ['a default export', 'src/base/a.ts', 'export default 1;'],
    ['an enum', 'src/base/a.ts', 'enum A { B }'],
    ['a namespace', 'src/base/a.ts', 'namespace A { export const b = 1; }'],
    ['a parameter property', 'src/base/a.ts', 'class A { constructor(readonly b: number) {} }'],
    ['an interface called I…', 'src/base/a.ts', 'interface IThing { a: 1 }'],
    ['state at module level', 'src/base/a.ts', 'let count = 0;'],
    ['exported state', 'src/base/a.ts', 'export let count = 0;'],
    ['unfinished work', 'src/base/a.ts', '// TO-DO: later'.replace('-', '')],
    ['a skipped test', 'test/a.test.ts', `it.skip('x', () => {});`],
    ['a test that runs alone', 'test/a.test.ts', `describe.only('x', () => {});`],
    ['a test skipped by its own condition', 'test/a.test.ts', `it.skipIf(!isRoot)('x', () => {});`],
    ['another spelling', 'src/base/a.ts', '// the behav-ior of it'.replace('-', '')],
    ['a file of two stories', 'src/base/a.ts', 'a();\n'.repeat(400)],
    ['a function beyond a screen', 'src/base/a.ts', `function f() {\n${'a();\n'.repeat(60)}}`],
  ])('refuses %s', (_name, path, text) => {
    expect(styleBreaches(parseSource(path, FIRST_LINE + text))).toHaveLength(1);
  });

  it.each([
    ['the specification’s own name', 'src/base/a.ts', '// as monitorRuntimeBehav-ior does'.replace('-', '')],
    ['a configuration’s default export', 'vitest.config.ts', 'export default 1;'],
    ['state inside a function', 'src/base/a.ts', 'function f() { let a = 0; return ++a; }'],
    ['a test that says what it needs', 'test/a.test.ts', `it.skipIf(needs('root'))('x', () => {});`],
    ['a name of several words', 'src/base/inclusion-proof.test.ts', ''],
    ['a function of a screen', 'src/base/a.ts', `function f() {\n${'a();\n'.repeat(40)}}`],
  ])('accepts %s', (_name, path, text) => {
    expect(styleBreaches(parseSource(path, FIRST_LINE + text))).toEqual([]);
  });

  it('refuses a file without a first line', () => {
    expect(styleBreaches(parseSource('src/base/a.ts', 'export const a = 1;'))).toHaveLength(1);
  });

  it('refuses a door that exports what has no doc string, or everything', () => {
    const inside = parseSource(
      'src/base/a.ts',
      '/** Does a. */\nexport const a = 1;\nexport const b = 2;\nexport type C = 1;',
    );
    const around = new Map([[inside.path, inside]]);
    const door = (text: string): string[] => doorBreaches(parseSource('src/base/index.ts', text), around);
    expect(door(`export { a, type C } from './a.ts';`)).toEqual([]);
    expect(door(`export { a, b } from './a.ts';`)).toHaveLength(1);
    expect(door(`export * from './a.ts';`)).toHaveLength(1);
    expect(door(`export { x } from './missing.ts';`)).toHaveLength(1);
  });

  it('reads codes, messages, hints and exits', () => {
    const source = `type AErrorCode = 'BASE_A' | 'BASE_B';
      throw new AError('BASE_A', \`no \${x} here\`, { exit: exitStatus.usage, hint: 'Do it.' });`;
    expect(errorCodesOf([parseSource('src/base/a.ts', source)])).toEqual([
      { code: 'BASE_A', room: 'base', messages: ['no … here'], hints: ['Do it.'], exits: [2], isRaised: true },
      { code: 'BASE_B', room: 'base', messages: [], hints: [], exits: [], isRaised: false },
    ]);
  });
});
