// What is read of an artifact for its list of dependencies, and what of it is judged how, on real folders and this very host.
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { needs } from '../../test/needs.ts';
import { type DependencyOptions, type DependencyReport, reportDependencies } from './recording-deps.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'engine-deps-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const report = (options: Partial<DependencyOptions> = {}): Promise<DependencyReport> =>
  reportDependencies({
    homeDir: join(dir, 'home'),
    reference: join(dir, 'root'),
    rootfs: false,
    progress: () => undefined,
    sbom: null,
    origins: null,
    ...options,
  });

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, 'root', path)), { recursive: true });
    writeFileSync(join(dir, 'root', path), text);
  }
}

const H1 = `h1:${Buffer.alloc(32, 7).toString('base64')}`;
const DPKG = 'Package: libc6\nStatus: install ok installed\nVersion: 2.41-1\nArchitecture: amd64\n';
const APK = 'P:musl\nV:1.2.5-r9\nA:x86_64\n';

const purlsOf = ({ predicate }: DependencyReport): unknown =>
  (predicate['components'] as readonly { readonly purl: string }[]).map(({ purl }) => purl);

describe('the default origins', () => {
  it('are the public registries, and the hosts of open code for Go', async () => {
    const modules = ['github.com/acme/lib', 'golang.org/x/sys', 'go.acme.test/lib', 'golang.org/y'];
    write({ 'go.sum': modules.map((path) => `${path} v1.0.0 ${H1}\n${path} v1.0.0/go.mod ${H1}\n`).join('') });
    const { findings, evidence, dependencies } = await report();
    expect(dependencies).toEqual({ count: 4, byEcosystem: { golang: 4 } });
    expect(findings.map(({ kind, subject }) => [kind, subject])).toEqual([
      ['untrusted-origin', 'go.acme.test/lib@v1.0.0'],
      ['untrusted-origin', 'golang.org/y@v1.0.0'],
    ]);
    expect(evidence).toMatchObject({ check: 'build.dependencies', score: 0 });
  });
});

describe('system packages', () => {
  it.each([
    ['etc/os-release', 'ID="ubuntu"\n', 'ubuntu'],
    ['usr/lib/os-release', 'NAME=x\nID=raspbian\nVERSION_ID="1"\n', 'raspbian'],
    ['usr/lib/os-release', 'ID=a/../b\n', 'debian'],
    ['opt/os-release', 'ID=ubuntu\n', 'debian'],
  ])('are those of the distribution that %s names by %j', async (path, text, vendor) => {
    write({ 'var/lib/dpkg/status': DPKG, [path]: text });
    expect(purlsOf(await report())).toEqual([`pkg:deb/${vendor}/libc6@2.41-1?arch=amd64`]);
  });

  it('are found where lib is a link, and once', async () => {
    write({ 'usr/lib/apk/db/installed': APK });
    symlinkSync('usr/lib', join(dir, 'root/lib'));
    expect(purlsOf(await report())).toEqual(['pkg:apk/alpine/musl@1.2.5-r9?arch=x86_64']);
    rmSync(join(dir, 'root/lib'));
    write({ 'lib/apk/db/installed': APK.replace('musl', 'zlib') });
    expect(purlsOf(await report())).toEqual(['pkg:apk/alpine/zlib@1.2.5-r9?arch=x86_64']);
  });
});

it('holds a list that it may not follow against the artifact', async () => {
  write({ 'go.sum': `github.com/acme/lib v1.0.0 ${H1}\n`, other: '{}' });
  symlinkSync('other', join(dir, 'root/package-lock.json'));
  symlinkSync('other', join(dir, 'root/unrelated'));
  const { findings } = await report();
  expect(findings).toContainEqual(expect.objectContaining({ kind: 'not-read', subject: 'package-lock.json' }));
  expect(JSON.stringify(findings)).not.toContain('unrelated');
});

describe('a host', () => {
  it.skipIf(needs('root', 'dpkg'))('is its packages alone, whatever else lies on it', async () => {
    const { artifact, dependencies } = await report({ reference: '/', rootfs: true });
    expect(artifact.kind).toBe('host');
    expect(Object.keys(dependencies.byEcosystem)).toEqual(['deb']);
    expect(dependencies.count).toBeGreaterThan(10);
  });
});

describe('what is refused', () => {
  it.each([
    ['a manifest alone', { 'package.json': '{"name":"x"}' }],
    ['a lockfile of another', { 'node_modules/x/package-lock.json': '{}' }],
    ['nothing', { readme: '' }],
  ])('has no dependencies: %s', async (_, files) => {
    write(files);
    await expect(report()).rejects.toMatchObject({ code: 'ENGINE_NO_DEPENDENCIES', exit: 5 });
  });

  it('is a list that no statement could hold', async () => {
    write({ readme: '' });
    const sbom = (count: number): DependencyOptions['sbom'] => {
      const components = Array.from({ length: count }, (__, at) => ({
        type: 'library',
        name: `${at}${'n'.repeat(500)}`,
        version: '1',
      }));
      const document = { bomFormat: 'CycloneDX', specVersion: '1.6', components };
      return { bytes: Buffer.from(JSON.stringify(document)), source: 'big.json' };
    };
    await expect(report({ sbom: sbom(9000) })).rejects.toMatchObject({ code: 'ENGINE_PREDICATE_SIZE', exit: 3 });
    expect((await report({ sbom: sbom(8000) })).dependencies.count).toBe(8000);
  });

  it.each([
    ['no YAML', '[', 'ENGINE_ORIGINS'],
    ['aliases', 'registries: &a []\nnamespaces: *a\n', 'ENGINE_ORIGINS'],
    ['too much', `# ${'x'.repeat(300_000)}`, 'ENGINE_ORIGINS'],
    ['another document', 'tiers: []', 'PROVENANCE_ORIGIN_POLICY'],
    ['nothing', '', 'PROVENANCE_ORIGIN_POLICY'],
  ])('is a policy of origins that holds %s', async (_, text, code) => {
    write({ 'go.sum': '' });
    await expect(report({ origins: { text, source: 'origins.yaml' } })).rejects.toMatchObject({ code, exit: 2 });
  });
});
