// The documents keep to the sources: links, files, commands and flags exist, and the tables say what package.json says.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ROOMS } from './source/rooms.ts';
import { PROJECT_FOLDER } from './source/source-file.ts';

interface Manifest {
  readonly scripts: Record<string, string>;
  readonly dependencies: Record<string, string>;
  readonly devDependencies: Record<string, string>;
}

const pages = globSync(['*.md', 'docs/**/*.md', 'src/**/*.md'], { cwd: PROJECT_FOLDER });
const manifest = JSON.parse(read('package.json')) as Manifest;

function read(path: string): string {
  return readFileSync(join(PROJECT_FOLDER, path), 'utf8');
}

/** The first cells of the tables under a heading, without their backquotes. */
function firstCells(page: string, heading: string): string[] {
  const section = page.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map(([, cell]) => cell ?? '');
}

/** The lines of the shell blocks of a page, without comments. */
function shellLines(page: string): string[] {
  const blocks = [...page.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block ?? '');
  const lines = blocks.flatMap((block) => block.split('\n').map((line) => line.replace(/(^|\s)# .*$/, '').trim()));
  return lines.filter((line) => line !== '');
}

function helpOf(commands: readonly string[]): string {
  return execFileSync(join(PROJECT_FOLDER, 'bin/provost'), [...commands, '--help'], { encoding: 'utf8' });
}

describe('the pages', () => {
  it('are all there', () => {
    const wanted = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/errors.md'];
    expect(wanted.filter((page) => !pages.includes(page))).toEqual([]);
    expect(existsSync(join(PROJECT_FOLDER, 'LICENSE'))).toBe(true);
  });

  it('link to files that exist', () => {
    const links = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)]
        .map(([, target]) => target ?? '')
        .filter((target) => !/^https?:/.test(target))
        .map((target) => ({ page, target: normalize(join(dirname(page), target)) })),
    );
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter(({ target }) => !existsSync(join(PROJECT_FOLDER, target)))).toEqual([]);
  });

  it('call npm scripts that exist', () => {
    const scripts = pages.flatMap((page) =>
      [...read(page).matchAll(/npm run ([a-z][a-z:]*)/g)].map(([, name]) => name ?? ''),
    );
    expect(scripts.length).toBeGreaterThan(5);
    expect(scripts.filter((name) => !Object.hasOwn(manifest.scripts, name))).toEqual([]);
  });
});

describe('README.md', () => {
  const lines = shellLines(read('README.md'))
    .filter((line) => line.startsWith('provost '))
    .map((line) => line.split(' -- ')[0]?.split(/\s+/).slice(1) ?? []);

  it('shows commands, with flags that they have', () => {
    expect(lines.length).toBeGreaterThan(10);
    for (const words of lines) {
      const [name = '', second = ''] = words;
      const help = helpOf([name]);
      expect(help, name).toContain(`provost ${name}`);
      const isGroup = /^Commands:/m.test(help);
      const full = isGroup ? helpOf([name, second]) : help;
      if (isGroup) expect(full, `${name} ${second}`).toContain(`provost ${name} ${second}`);
      for (const flag of words.filter((word) => /^--?[a-z]/.test(word))) {
        expect(full, `${words.join(' ')}: ${flag}`).toMatch(new RegExp(`(^|[\\s,])${flag}([\\s,=]|$)`, 'm'));
      }
    }
  });
});

describe('ARCHITECTURE.md', () => {
  it('has the table of rooms that the test of boundaries holds', () => {
    const rows = [...read('ARCHITECTURE.md').matchAll(/^\| `([a-z]+)` \| ([^|]+) \|/gm)];
    expect(rows.length).toBeGreaterThan(12);
    for (const [, room = '', imports = ''] of rows) {
      const allowed = ROOMS.get(room);
      if (imports.trim() === 'all below') continue;
      const listed = imports.trim() === '–' ? [] : imports.split(',').map((name) => name.trim());
      expect(allowed, room).toEqual(listed);
    }
    const named = read('ARCHITECTURE.md');
    expect([...ROOMS.keys()].filter((room) => !named.includes(`\`${room}\``))).toEqual([]);
  });
});

describe('docs/dependencies.md', () => {
  const page = read('docs/dependencies.md');

  it.each([
    ['npm, at run time', manifest.dependencies],
    ['npm, for development', manifest.devDependencies],
  ])('lists %s, no more and no less', (heading, dependencies) => {
    expect(firstCells(page, heading).toSorted()).toEqual(Object.keys(dependencies).toSorted());
  });

  it('belongs to a package that pins every version', () => {
    const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
  });
});

describe('docs/promises.md', () => {
  const rows = read('docs/promises.md')
    .split('\n')
    .filter((line) => /^\| (?!promise|-)/.test(line))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));

  it('names for each promise a test that exists, or says that there is none', () => {
    expect(rows.length).toBeGreaterThan(20);
    for (const [promise, , heldBy = ''] of rows) {
      const files = [...heldBy.matchAll(/`([^`]+)`/g)].map(([, file]) => file ?? '');
      if (files.length === 0) expect(heldBy, promise).toBe('*not tested yet*');
      expect(
        files.filter((file) => !existsSync(join(PROJECT_FOLDER, file))),
        promise,
      ).toEqual([]);
    }
  });
});
