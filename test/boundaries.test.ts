// The rooms keep to their table: what may import what, who may start processes, who may know the time.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { breaches, ROOMS } from './source/rooms.ts';
import { parseSource, PROJECT_FOLDER, readSources } from './source/source-file.ts';

/** Fewer files than this, and the check has looked in the wrong place. */
const FILES_MIN = 30;

const manifest = JSON.parse(readFileSync(join(PROJECT_FOLDER, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
const packages = new Set(Object.keys(manifest.dependencies));

function breachesOf(path: string, text: string): string[] {
  return breaches(parseSource(path, text), packages);
}

describe('the table of rooms', () => {
  it('points down only', () => {
    const above = new Set<string>();
    for (const [room, mayImport] of ROOMS) {
      expect(
        mayImport.filter((name) => !above.has(name)),
        `'${room}' imports what comes after it`,
      ).toEqual([]);
      above.add(room);
    }
  });

  it('names every folder of src', () => {
    const folders = readdirSync(join(PROJECT_FOLDER, 'src'));
    expect(folders.filter((name) => !ROOMS.has(name))).toEqual([]);
    expect(folders.length).toBeGreaterThan(0);
  });
});

describe('the sources', () => {
  it('keep to the table', () => {
    const files = readSources('src');
    expect(files.length).toBeGreaterThan(FILES_MIN);
    expect(files.flatMap((file) => breaches(file, packages))).toEqual([]);
  });

  it('lie in rooms with a door', () => {
    const files = readSources('src');
    const rooms = new Set(files.map(({ path }) => path.split('/')[1]));
    const doors = files
      .filter(({ path }) => /^src\/[^/]+\/index\.ts$/.test(path))
      .map(({ path }) => path.split('/')[1]);
    // A command line has no importers: its door is main.ts, which bin/provost opens.
    expect([...rooms].filter((room) => !doors.includes(room) && room !== 'cli')).toEqual([]);
  });
});

describe('the check', () => {
  it.each([
    ['a neighbour that the table does not allow', 'src/base/a.ts', `import { x } from '../trust/index.ts';`],
    ['an arrow that points up', 'src/trust/a.ts', `import { x } from '../policy/index.ts';`],
    ['a type from above', 'src/trust/a.ts', `import type { X } from '../policy/index.ts';`],
    ['a type in place', 'src/trust/a.ts', `export type X = import('../policy/index.ts').Y;`],
    ['a way past the door', 'src/trust/a.ts', `import { x } from '../base/units.ts';`],
    ['an export past the door', 'src/trust/a.ts', `export { x } from '../base/units.ts';`],
    ['an export of everything from above', 'src/trust/a.ts', `export * from '../engine/index.ts';`],
    ['an empty export from above', 'src/trust/a.ts', `export {} from '../engine/index.ts';`],
    ['an import for its effect', 'src/trust/a.ts', `import '../engine/index.ts';`],
    ['an import at run time', 'src/trust/a.ts', `const x = await import('../engine/index.ts');`],
    ['an import that is computed', 'src/engine/a.ts', `export const x = (name: string) => import(name);`],
    ['a require', 'src/trust/a.ts', `import x = require('../engine/index.ts');`],
    ['a require in a call', 'src/trust/a.ts', `const x = require('../engine/index.ts');`],
    ['a loader of modules', 'src/engine/a.ts', `import { createRequire } from 'node:module';`],
    ['a path out of src', 'src/engine/a.ts', `import { needs } from '../../test/needs.ts';`],
    ['an absolute path', 'src/engine/a.ts', `import { x } from '/src/trust/index.ts';`],
    ['a module by URL', 'src/engine/a.ts', `import { x } from 'data:text/javascript,export const x = 1';`],
    ['a folder that is no room', 'src/helpers/a.ts', `export const x = 1;`],
    ['a file in no room', 'src/a.ts', `export const x = 1;`],
    ['a package that is not a dependency', 'src/engine/a.ts', `import { x } from 'left-pad';`],
    ['a development package in code that ships', 'src/engine/a.ts', `import { it } from 'vitest';`],
    ['processes outside the sandbox', 'src/engine/a.ts', `import { spawn } from 'node:child_process';`],
    ['system calls outside the sandbox', 'src/engine/a.ts', `import koffi from 'koffi';`],
    ['files in a pure room', 'src/policy/a.ts', `import { readFileSync } from 'node:fs';`],
    ['randomness in a pure room', 'src/trust/a.ts', `import { createHash, randomBytes } from 'node:crypto';`],
    ['all of a module in a pure room', 'src/trust/a.ts', `import * as c from 'node:crypto';`],
    ['a clock in a pure room', 'src/trust/a.ts', `export const now = () => Date.now();`],
    ['a clock by a computed name', 'src/trust/a.ts', `export const now = () => Date['now']();`],
    ['a date of now in a pure room', 'src/policy/a.ts', `export const now = () => new Date();`],
    ['the monotonic clock in a pure room', 'src/policy/a.ts', `export const now = () => performance.now();`],
    ['the clock of base in a pure room', 'src/policy/a.ts', `import { systemClock } from '../base/index.ts';`],
    ['chance in a pure room', 'src/response/a.ts', `export const x = () => Math.random();`],
    ['the environment in a pure room', 'src/trust/a.ts', `export const x = () => process.env['X'];`],
    ['a timer in a pure room', 'src/response/a.ts', `export const x = () => setTimeout(() => {}, 1);`],
    ['the network in a pure room', 'src/policy/a.ts', `export const x = () => fetch('http://localhost');`],
    ['a test that breaks an arrow', 'src/trust/a.test.ts', `import { x } from '../engine/index.ts';`],
  ])('refuses %s', (_name, path, text) => {
    expect(breachesOf(path, text)).toHaveLength(1);
  });

  it.each([
    ['a neighbour below, by its door', 'src/trust/a.ts', `import { x } from '../base/index.ts';`],
    ['any file of the own room', 'src/sandbox/gvisor/a.ts', `import { x } from '../cgroup/b.ts';`],
    ['a hash in a pure room', 'src/trust/a.ts', `import { createHash } from 'node:crypto';`],
    ['a date of a given time in a pure room', 'src/policy/a.ts', `export const x = (ms: number) => new Date(ms);`],
    ['members called like a clock', 'src/trust/a.ts', `export const x = (o: O) => o.process.now({ process: 1 });`],
    ['a dependency', 'src/policy/a.ts', `import { parse } from 'yaml';`],
    ['a scoped dependency', 'src/policy/a.ts', `import { Environment } from '@marcbachmann/cel-js';`],
    ['a clock outside the pure rooms', 'src/engine/a.ts', `export const now = () => Date.now();`],
    ['processes of the sandbox', 'src/sandbox/a.ts', `import { spawn } from 'node:child_process';`],
    [
      'processes, clocks and needs in a test',
      'src/ledger/a.test.ts',
      `import { spawn } from 'node:child_process'; import { needs } from '../../test/needs.ts'; it('x', () => Date.now());`,
    ],
  ])('accepts %s', (_name, path, text) => {
    expect(breachesOf(path, text)).toEqual([]);
  });

  it('refuses a file that does not parse', () => {
    expect(() => parseSource('src/base/a.ts', 'export const = ;')).toThrow(SyntaxError);
  });
});
