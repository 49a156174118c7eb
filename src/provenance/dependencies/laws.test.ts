import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { digestOf } from '../../artifact/index.ts';
import { canonicalJson } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { type Dependency, type DependencyFinding, type Inventory, makeDependency } from './dependency.ts';
import { describeDependencies } from './describe.ts';
import { inventoryOf, mergeInventories } from './findings.ts';
import { readInventory } from './inventory.ts';
import { judgeOrigin } from './origin.ts';
import { parseOriginPolicy } from './origin-policy.ts';
import { parseMd5sums } from './system-packages.ts';

const SHA512 = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;
const H1 = `h1:${Buffer.alloc(32, 7).toString('base64')}`;

/** One honest file of each kind, by its path. */
const HONEST: ReadonlyMap<string, string> = new Map([
  [
    'bom.json',
    JSON.stringify({
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      components: [{ type: 'library', name: 'a', purl: 'pkg:npm/a@1' }],
      dependencies: [{ ref: 'a' }],
    }),
  ],
  [
    'x.spdx.json',
    JSON.stringify({
      spdxVersion: 'SPDX-2.3',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: 'x',
      dataLicense: 'CC0-1.0',
      documentNamespace: 'https://a.example/x',
      creationInfo: { created: '2026-03-01T10:00:00Z', creators: ['x'] },
      packages: [{ SPDXID: 'SPDXRef-a', name: 'a', downloadLocation: 'NONE' }],
    }),
  ],
  [
    'package-lock.json',
    JSON.stringify({
      lockfileVersion: 2,
      packages: { 'node_modules/a': { version: '1.0.0', integrity: SHA512, dependencies: { b: '1' } } },
      dependencies: { a: { version: '1.0.0' } },
    }),
  ],
  [
    'yarn.lock',
    `# yarn lockfile v1\n\n\n"@a/b@^1", c@1:\n  version "1.0.0"\n  resolved "https://registry.yarnpkg.com/c/-/c-1.0.0.tgz#ab"\n  integrity ${SHA512}\n  dependencies:\n    d "1"\n`,
  ],
  ['pnpm-lock.yaml', `lockfileVersion: '9.0'\npackages:\n  '@a/b@1.0.0':\n    resolution: {integrity: ${SHA512}}\n`],
  [
    'requirements.txt',
    `-i https://pypi.org/simple\na[b]==1.0 ; python_version > "3" \\\n    --hash=sha256:${'ab'.repeat(32)}\n-e git+https://a.example/b.git@main#egg=b\n`,
  ],
  [
    'Pipfile.lock',
    JSON.stringify({
      _meta: { 'pipfile-spec': 6, sources: [{ name: 'pypi', url: 'https://pypi.org/simple', verify_ssl: true }] },
      default: { a: { version: '==1', hashes: [] } },
      develop: {},
    }),
  ],
  [
    'poetry.lock',
    `[[package]]\nname = "a"\nversion = "1"\noptional = false\nfiles = [\n  {file = "a", hash = "sha256:${'ab'.repeat(32)}"},\n]\n[package.source]\ntype = "git"\nurl = "x"\n[metadata]\nlock-version = "2.1"\n`,
  ],
  ['uv.lock', 'version = 1\n[[package]]\nname = "a"\nsource = { registry = "https://pypi.org/simple" }\n'],
  ['go.sum', `a.example/x v1.0.0 ${H1}\na.example/x v1.0.0/go.mod ${H1}\n`],
  ['go.mod', 'module a.example/y\nrequire (\n\ta.example/x v1.0.0\n)\nreplace a.example/x => ../x\n'],
  ['package.json', JSON.stringify({ dependencies: { a: '1' } })],
  [
    'var/lib/dpkg/status',
    'Package: a\nStatus: install ok installed\nVersion: 1\nDescription: x\n y\n\nPackage: b\nStatus: install ok installed\nVersion: 2\n',
  ],
  ['lib/apk/db/installed', `C:Q1${Buffer.alloc(20).toString('base64')}\nP:a\nV:1\n\nP:b\nV:2\n`],
]);

/** What a file becomes in the hands of an attacker or a bad disk. */
const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.nat({ max: 12 }),
  text: fc.oneof(
    fc.string({ maxLength: 8, unit: 'binary' }),
    fc.constantFrom(
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      '\n',
      '\0',
      '..',
      '/',
      '@',
      ':',
      '__proto__',
      'null',
      '1e999',
      '\u202e',
      '\ud800',
      '&a',
      '*a',
      '#',
      "'",
    ),
  ),
});

function mutated(text: string, mutations: readonly { at: number; length: number; text: string }[]): string {
  return mutations.reduce((now, { at, length, text: put }) => {
    const start = Math.floor(at * now.length);
    return now.slice(0, start) + put + now.slice(start + length);
  }, text);
}

describe('reading', () => {
  it('reads the honest files', () => {
    const files = [...HONEST].map(([path, text]) => ({ path, bytes: Buffer.from(text) }));
    expect(readInventory(files)?.dependencies.length).toBeGreaterThan(10);
  });

  it('is total: it answers, or throws an error of this room', () => {
    const path = fc.constantFrom(...HONEST.keys());
    fc.assert(
      fc.property(path, fc.array(mutation, { minLength: 1, maxLength: 4 }), (name, mutations) => {
        const changed = { path: name, bytes: Buffer.from(mutated(HONEST.get(name) ?? '', mutations)) };
        const others = [...HONEST].filter(([other]) => other !== name);
        expectTotal(() =>
          readInventory([...others.map(([other, text]) => ({ path: other, bytes: Buffer.from(text) })), changed]),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('is total for bytes of any kind', () => {
    fc.assert(
      fc.property(fc.constantFrom(...HONEST.keys()), fc.uint8Array({ maxLength: 200 }), (path, bytes) => {
        expectTotal(() => readInventory([{ path, bytes }]));
        expectTotal(() => parseMd5sums(bytes));
      }),
    );
  });

  it('is total for JSON of any kind', () => {
    const paths = [...HONEST.keys()].filter((path) => path.endsWith('.json') || path === 'Pipfile.lock');
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.json(), (path, text) => {
        expectTotal(() => readInventory([{ path, bytes: Buffer.from(text) }]));
      }),
    );
  });
});

function expectTotal(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ProvenanceError)) throw error;
    expect(error.message.length).toBeLessThan(600);
    expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u);
  }
}

const policy = parseOriginPolicy({
  registries: [{ ecosystem: 'npm', urlPrefixes: ['https://registry.npmjs.org/', 'https://npm.acme.example/public/'] }],
  namespaces: [{ ecosystem: 'npm', patterns: ['b'], urlPrefixes: ['https://npm.acme.example/private/'] }],
});
const artifact = { name: 'shop', digest: digestOf('shop') };

const dependency: fc.Arbitrary<Dependency> = fc
  .record({
    name: fc.constantFrom('a', 'b', '@s/c'),
    version: fc.constantFrom('1.0.0', '2.0.0', null),
    origin: fc.constantFrom(
      'https://registry.npmjs.org/x',
      'https://npm.acme.example/private/x',
      'https://evil.example/',
      null,
    ),
    hashes: fc.array(fc.record({ algorithm: fc.constantFrom('sha1', 'sha512'), hex: fc.constantFrom('aa', 'bb') }), {
      maxLength: 3,
    }),
    scope: fc.constantFrom('required', 'optional', 'development'),
  })
  .map(({ hashes, ...parts }) => {
    const sized = hashes.map(({ algorithm, hex }) => ({ algorithm, hex: hex.repeat(algorithm === 'sha1' ? 20 : 64) }));
    return makeDependency({ ecosystem: 'npm', ...parts, hashes: sized }, 'the test');
  });

const finding: fc.Arbitrary<DependencyFinding> = fc.record({
  kind: fc.constantFrom('name-mismatch', 'not-pinned', 'not-read', 'manifest-mismatch'),
  subject: fc.constantFrom('a', 'b'),
  detail: fc.constant('why'),
});

function scoreOf(inventory: Inventory): number {
  return describeDependencies({ artifact, inventory, policy }).findings.evidence[0]?.score ?? Number.NaN;
}

describe('the score', () => {
  const inventories = fc.array(dependency, { maxLength: 6 });

  it('is not raised by a bad dependency', () => {
    fc.assert(
      fc.property(inventories, dependency, (dependencies, more) => {
        const [before, after] = [scoreOf(inventoryOf(dependencies)), scoreOf(inventoryOf([...dependencies, more]))];
        const isBad = scoreOf(inventoryOf([more])) < 1;
        expect(after).toBeLessThanOrEqual(isBad || dependencies.length > 0 ? before : 1);
      }),
    );
  });

  it('is not raised by a finding', () => {
    fc.assert(
      fc.property(inventories, fc.array(finding), finding, (dependencies, findings, more) => {
        const before = inventoryOf(dependencies, findings);
        expect(scoreOf(inventoryOf(dependencies, [...findings, more]))).toBeLessThanOrEqual(scoreOf(before));
      }),
    );
  });

  it('is one of the three that there are', () => {
    fc.assert(
      fc.property(inventories, (dependencies) => {
        expect([0, 0.5, 1]).toContain(scoreOf(inventoryOf(dependencies)));
      }),
    );
  });
});

describe('the order of entries', () => {
  it('changes neither the inventory nor the document nor the evidence', () => {
    const shuffled = fc
      .array(dependency, { maxLength: 6 })
      .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })));
    fc.assert(
      fc.property(shuffled, ([one, other]) => {
        const [first, second] = [inventoryOf(one), inventoryOf(other)];
        expect(second).toEqual(first);
        const of = (inventory: Inventory): string =>
          canonicalJson({ ...describeDependencies({ artifact, inventory, policy }) });
        expect(of(second)).toBe(of(first));
        // Nor does it matter whether they come from one file or from several.
        expect(mergeInventories(other.map((it) => inventoryOf([it])))).toEqual(first);
      }),
    );
  });

  it('changes nothing in a lockfile', () => {
    const paths = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 2 });
    const orders = paths.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
    );
    const lock = (names: readonly string[]): Buffer =>
      Buffer.from(
        JSON.stringify({
          lockfileVersion: 3,
          packages: Object.fromEntries(
            names.map((name) => [
              `node_modules/${name}`,
              { version: '1', ...(name < 'c' ? { integrity: SHA512 } : {}) },
            ]),
          ),
        }),
      );
    fc.assert(
      fc.property(orders, ([one, other]) => {
        const read = (names: readonly string[]): unknown =>
          readInventory([{ path: 'package-lock.json', bytes: lock(names) }]);
        expect(read(other)).toEqual(read(one));
      }),
    );
  });
});

it('trusts no URL that a client would take elsewhere', () => {
  const part = fc.constantFrom(
    'https://',
    'HTTPS:',
    'http://',
    '//',
    '/',
    '\\',
    '@',
    ':',
    ':443',
    'registry.npmjs.org',
    'npm.acme.example',
    'evil.example',
    '.',
    '..',
    '%2e',
    '%2f',
    '%5c',
    '%',
    'public',
    'private',
    'x',
    '?',
    '#',
    ' ',
    '\t',
    'git+',
    '%252e',
  );
  fc.assert(
    fc.property(
      fc.constantFrom('', 'https://registry.npmjs.org', 'https://npm.acme.example/public'),
      fc.array(part, { maxLength: 8 }),
      (start, parts) => {
        const origin = start + parts.join('');
        if (origin.trim() === '' || origin.includes('\t')) return;
        const it = makeDependency({ ecosystem: 'npm', name: 'a', version: '1', origin }, 'the test');
        if (judgeOrigin(it, policy).status !== 'trusted') return;
        const url = new URL(origin.replace(/^git\+/i, ''));
        expect([url.username, url.password, url.port]).toEqual(['', '', '']);
        expect(url.origin).toMatch(/^https:\/\/(?:registry\.npmjs\.org|npm\.acme\.example)$/);
        if (url.hostname === 'npm.acme.example') expect(url.pathname).toMatch(/^\/public(?:\/|$)/);
      },
    ),
    { numRuns: 20_000 },
  );
});
