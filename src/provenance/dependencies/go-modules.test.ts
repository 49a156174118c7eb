import { describe, expect, it } from 'vitest';

import type { Inventory } from './dependency.ts';
import { parseGoMod } from './go-mod.ts';
import { parseGoSum } from './go-modules.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });
const H1 = `h1:${Buffer.alloc(32, 7).toString('base64')}`;
const OTHER = `h1:${Buffer.alloc(32, 8).toString('base64')}`;

const parse = (sum: string, mod?: string): Inventory =>
  parseGoSum(Buffer.from(sum), mod === undefined ? null : Buffer.from(mod));
const kindsOf = ({ findings }: Inventory): string[] => findings.map(({ kind, subject }) => `${kind} ${subject}`);

const SUM = `github.com/acme/lib v1.2.3 ${H1}
github.com/acme/lib v1.2.3/go.mod ${OTHER}
golang.org/x/sync v0.10.0/go.mod ${OTHER}
gopkg.in/yaml.v3 v3.0.1 ${OTHER}
`;

it('reads the modules that are built, and those only', () => {
  expect(parse(SUM)).toEqual({
    dependencies: [
      {
        purl: 'pkg:golang/github.com/acme/lib@v1.2.3',
        name: 'github.com/acme/lib',
        version: 'v1.2.3',
        ecosystem: 'golang',
        hashes: [{ algorithm: 'h1', hex: '07'.repeat(32) }],
        origin: 'https://github.com/acme/lib',
        scope: 'required',
        alias: null,
      },
      expect.objectContaining({ name: 'gopkg.in/yaml.v3' }),
    ],
    findings: [],
  });
});

it('knows no origin of a module that names no host', () => {
  expect(parse(`shop/lib v1.0.0 ${H1}\n`).dependencies[0]?.origin).toBeNull();
});

it('finds two hashes of one version', () => {
  expect(kindsOf(parse(`a.example/x v1.0.0 ${H1}\na.example/x v1.0.0 ${OTHER}\n`))).toEqual([
    'conflicting-integrity a.example/x@v1.0.0',
  ]);
});

describe('with its go.mod', () => {
  it.each([
    ['the same', 'require github.com/acme/lib v1.2.3', []],
    [
      'one more',
      'require github.com/acme/more v1.0.0',
      ['manifest-mismatch github.com/acme/more@v1.0.0', 'no-integrity github.com/acme/more@v1.0.0'],
    ],
    [
      'another version',
      'require github.com/acme/lib v1.2.4',
      ['manifest-mismatch github.com/acme/lib@v1.2.4', 'no-integrity github.com/acme/lib@v1.2.4'],
    ],
    [
      'a folder instead',
      'require github.com/acme/own v1.0.0\nreplace github.com/acme/own => ../own',
      ['not-from-registry github.com/acme/own'],
    ],
    ['another module instead', 'require a.example/x v1.0.0\nreplace a.example/x => github.com/acme/lib v1.2.3', []],
    [
      'another module instead of that version',
      'require a.example/x v1.0.0\nreplace a.example/x v1.0.0 => github.com/acme/lib v1.2.3',
      [],
    ],
    [
      'another module instead of another version',
      'require a.example/x v1.0.0\nreplace a.example/x v1.0.1 => github.com/acme/lib v1.2.3',
      ['manifest-mismatch a.example/x@v1.0.0', 'no-integrity a.example/x@v1.0.0'],
    ],
  ])('that asks for %s', (_, mod, findings) => {
    expect(kindsOf(parse(SUM, `module acme.example/shop\n\ngo 1.24\n\n${mod}\n`))).toEqual(findings);
  });
});

it('reads a go.mod with all that there can be', () => {
  const mod = `// a shop
module "acme.example/shop"
go 1.24.0
toolchain go1.24.1
godebug default=go1.21
tool golang.org/x/tools/cmd/stringer
require (
	github.com/acme/lib v1.2.3
	golang.org/x/sync v0.10.0 // indirect
)
exclude golang.org/x/sync v0.9.0
retract [v1.0.0, v1.0.5] // broken
replace (
	golang.org/x/sync v0.10.0 => ./sync
)
`;
  expect(parseGoMod(Buffer.from(mod), 'go.mod')).toEqual({
    requires: [
      { path: 'github.com/acme/lib', version: 'v1.2.3' },
      { path: 'golang.org/x/sync', version: 'v0.10.0' },
    ],
    replaces: [{ from: { path: 'golang.org/x/sync', version: 'v0.10.0' }, to: null, folder: './sync' }],
  });
});

it.each([
  ['a line of two words', 'a.example/x v1.0.0'],
  ['a line of four words', `a.example/x v1.0.0 ${H1} x`],
  ['another hash', 'a.example/x v1.0.0 h2:abcd'],
  ['a hash that is cut', `a.example/x v1.0.0 ${H1.slice(0, -4)}`],
  ['a path that leads elsewhere', `a.example/../x v1.0.0 ${H1}`],
  ['a path with a hidden folder', `a.example/.git v1.0.0 ${H1}`],
  ['a path of other letters', `a.exаmple/x v1.0.0 ${H1}`],
  ['a version that is none', `a.example/x 1.0.0 ${H1}`],
])('refuses a go.sum with %s', (_, text) => {
  expect(() => parse(text)).toThrow(refused);
});

it.each([
  ['a directive that is not known', 'run rm'],
  ['a block without an end', 'require (\n'],
  ['a module without a version', 'require a.example/x'],
  ['a module with more', 'require a.example/x v1.0.0 v2.0.0'],
  ['a path that leads elsewhere', 'require ../x v1.0.0'],
  ['a replacement without an arrow', 'replace a.example/x v1.0.0'],
  ['a replacement of nothing', 'replace => ./x'],
  ['a replacement by nothing', 'replace a.example/x =>'],
  ['a replacement by a version that is none', 'replace a.example/x => b.example/x 1'],
  ['the end of a block that did not begin', ')'],
])('refuses a go.mod with %s', (_, text) => {
  expect(() => parse('', text)).toThrow(refused);
});
