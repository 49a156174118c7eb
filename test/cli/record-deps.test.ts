// `record deps` as people type it: an image, a root file system, a folder and an SBOM, and everything that it refuses.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf, parseDigest, writeOciLayout } from '../../src/artifact/index.ts';
import {
  CYCLONEDX_PREDICATE_TYPE,
  openAttestationStore,
  parseCycloneDx,
  parseEnvelope,
  parseStatement,
} from '../../src/provenance/index.ts';
import { openTestHome, type TestHome } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { runTranscript } from './transcript.ts';

const SHA512 = `sha512-${Buffer.alloc(64, 7).toString('base64')}`;
const H1 = `h1:${Buffer.alloc(32, 7).toString('base64')}`;

const lockfile = (packages: Readonly<Record<string, { readonly resolved: string; readonly integrity?: string }>>) =>
  JSON.stringify({
    name: 'shop',
    lockfileVersion: 3,
    packages: {
      '': { name: 'shop', dependencies: Object.fromEntries(Object.keys(packages).map((name) => [name, '1.0.0'])) },
      ...Object.fromEntries(
        Object.entries(packages).map(([name, entry]) => [`node_modules/${name}`, { version: '1.0.0', ...entry }]),
      ),
    },
  });
const fromNpm = (name: string) => ({
  resolved: `https://registry.npmjs.org/${name}/-/${name}-1.0.0.tgz`,
  integrity: SHA512,
});

const CLEAN = lockfile({ a: fromNpm('a'), b: fromNpm('b') });
const GO_SUM = `github.com/acme/lib v1.0.0 ${H1}\ngithub.com/acme/lib v1.0.0/go.mod ${H1}\n`;
const DPKG = 'Package: libc6\nStatus: install ok installed\nVersion: 2.41-1\nArchitecture: amd64\n';

/** Writes files below a folder. */
function writeFiles(dir: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
  return dir;
}

interface Recorded {
  readonly artifact: { readonly digest: string; readonly kind: string };
  readonly dependencies: { readonly count: number; readonly byEcosystem: Readonly<Record<string, number>> };
  readonly findings: readonly { readonly kind: string; readonly subject: string }[];
  readonly evidence: { readonly check: string; readonly score: number };
  readonly logIndex: number;
}

describe.skipIf(needs('root'))('record deps', () => {
  let home: TestHome;
  const run = (transcript: string): Promise<void> => runTranscript(home, transcript);
  const record = async (...args: string[]): Promise<Recorded> =>
    JSON.parse(await home.ok('record', 'deps', ...args, '--key', 'ci', '--json')) as Recorded;

  beforeAll(async () => {
    home = openTestHome();
    await home.ok('key', 'generate', 'ci');
    writeFiles(join(home.dir, 'src'), { 'package-lock.json': CLEAN });
    writeFiles(join(home.dir, 'bare'), { 'readme.txt': 'nothing of ours\n' });
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
  });

  it('signs what a folder is made of, in words', async () => {
    const bad = lockfile({ a: fromNpm('a'), evil: { resolved: 'https://evil.test/evil/-/evil-1.0.0.tgz' } });
    writeFiles(join(home.dir, 'bad'), { 'package-lock.json': bad });
    await run(`
$ provost record deps HOME/src --key ci --strict
HOME/src  sha256:<digest>
2 dependencies: 2 npm
build.dependencies 1: all of 2 dependencies are pinned by hash and come from where the policy trusts
signed with ci (entry <n>)
$ provost record deps HOME/bad --key ci
HOME/bad  sha256:<digest>
2 dependencies: 2 npm
build.dependencies 0: of 2 dependencies: 1 untrusted-origin (evil@1.0.0)
  untrusted-origin evil@1.0.0: the policy does not trust 'https://evil.test/evil/-/evil-1.0.0.tgz'
  no-integrity evil@1.0.0: no hash says what it is
signed with ci (entry <n>)
$ provost record deps HOME/bad --key ci --strict
...
signed with ci (entry <n>)
? 3
`);
  });

  it('signs what a container of an image would see', async () => {
    const dir = join(home.dir, 'image');
    const file = (path: string, text: string) => ({ path, type: 'file' as const, content: Buffer.from(text) });
    const lower = [
      file('app/package-lock.json', lockfile({ gone: { resolved: 'https://evil.test/gone.tgz' } })),
      file('old/go.sum', GO_SUM),
      file('var/lib/dpkg/status', DPKG),
      file('usr/lib/os-release', 'NAME="Ubuntu"\nID=ubuntu\n'),
    ];
    const upper = [file('app/package-lock.json', CLEAN), file('srv/go.sum', GO_SUM), file('.wh.old', '')];
    writeOciLayout({ dir, layers: [lower, upper] });
    const recorded = await record(`oci:${dir}`);
    expect(recorded).toMatchObject({
      artifact: { kind: 'image' },
      dependencies: { count: 4, byEcosystem: { npm: 2, golang: 1, deb: 1 } },
      evidence: { check: 'build.dependencies', score: 0.5 },
    });
    expect(recorded.findings.map(({ subject }) => subject)).toContain('libc6@2.41-1');
    expect(JSON.stringify(recorded.findings)).not.toContain('evil');
    const [attestation] = openAttestationStore(join(home.dir, 'attestations')).list(
      parseDigest(recorded.artifact.digest),
    );
    const statement = parseStatement(parseEnvelope(attestation?.bytes ?? Buffer.alloc(0)).payload);
    expect(statement.predicateType).toBe(CYCLONEDX_PREDICATE_TYPE);
    const { dependencies } = parseCycloneDx(Buffer.from(JSON.stringify(statement.predicate)));
    expect(dependencies.map(({ purl }) => purl)).toEqual([
      'pkg:deb/ubuntu/libc6@2.41-1?arch=amd64',
      'pkg:golang/github.com/acme/lib@v1.0.0',
      'pkg:npm/a@1.0.0',
      'pkg:npm/b@1.0.0',
    ]);
  });

  it('knows a root file system by its packages, wherever its distribution keeps them', async () => {
    const root = writeFiles(join(home.dir, 'root'), {
      'usr/lib/apk/db/installed': 'P:musl\nV:1.2.5-r9\nA:x86_64\n',
      'etc/os-release': 'ID=wolfi\n',
    });
    const { artifact, dependencies } = await record(root, '--rootfs');
    expect(artifact.kind).toBe('rootfs');
    expect(dependencies.byEcosystem).toEqual({ apk: 1 });
  });

  it('takes an SBOM in place of files, in either form', async () => {
    const cycloneDx = {
      bomFormat: 'CycloneDX',
      specVersion: '1.6',
      components: [{ type: 'library', name: 'zlib', version: '1.3', purl: 'pkg:generic/zlib@1.3' }],
    };
    const spdx = {
      spdxVersion: 'SPDX-2.3',
      SPDXID: 'SPDXRef-DOCUMENT',
      name: 'bare',
      dataLicense: 'CC0-1.0',
      documentNamespace: 'https://example.com/bare',
      creationInfo: { created: '2026-01-01T00:00:00Z', creators: ['Tool: none'] },
      packages: [{ SPDXID: 'SPDXRef-zlib', name: 'zlib', versionInfo: '1.3', downloadLocation: 'NOASSERTION' }],
    };
    for (const [name, sbom] of Object.entries({ cycloneDx, spdx })) {
      const file = join(home.dir, `${name}.json`);
      writeFileSync(file, JSON.stringify(sbom));
      const { dependencies, findings } = await record(join(home.dir, 'bare'), '--sbom', file);
      expect(dependencies.byEcosystem, name).toEqual({ generic: 1 });
      expect(
        findings.map(({ kind }) => kind),
        name,
      ).toContain('no-integrity');
    }
  });

  it('judges by the policy of origins that it is given, in YAML or JSON', async () => {
    const registries = [{ ecosystem: 'npm', urlPrefixes: ['https://npm.acme.test/'] }];
    writeFileSync(join(home.dir, 'origins.json'), JSON.stringify({ registries }));
    writeFileSync(
      join(home.dir, 'origins.yaml'),
      'registries:\n  - ecosystem: npm\n    urlPrefixes: [https://registry.npmjs.org/a/]\n',
    );
    const untrusted = async (file: string): Promise<string[]> =>
      (await record(join(home.dir, 'src'), '--origins', join(home.dir, file))).findings.map(({ subject }) => subject);
    expect(await untrusted('origins.json')).toEqual(['a@1.0.0', 'b@1.0.0']);
    expect(await untrusted('origins.yaml')).toEqual(['b@1.0.0']);
  });

  it('names at most twenty findings to a person, and all to a program', async () => {
    const names = Array.from({ length: 25 }, (_, index) => `p${index}`);
    const entries = names.map((name) => [name, { ...fromNpm(name), resolved: `https://evil.test/${name}` }] as const);
    const many = writeFiles(join(home.dir, 'many'), { 'package-lock.json': lockfile(Object.fromEntries(entries)) });
    const { findings } = await record(many);
    expect(findings.filter(({ kind }) => kind === 'untrusted-origin')).toHaveLength(25);
    const shown = await home.ok('record', 'deps', many, '--key', 'ci');
    expect(shown.match(/^ {2}untrusted-origin /gm)).toHaveLength(20);
    expect(shown).toContain(`and ${findings.length - 20} more`);
  });

  it('signs nothing about an artifact that is no longer what was read', async () => {
    const { Client } = await import('../../src/cli/client.ts');
    const body = {
      reference: join(home.dir, 'src'),
      rootfs: false,
      predicateType: CYCLONEDX_PREDICATE_TYPE,
      key: 'ci',
    };
    const attested = new Client(join(home.dir, 'provost.sock')).call({
      method: 'POST',
      path: '/v1/attestations',
      body: { ...body, predicate: {}, digest: digestOf('what it was') },
    });
    await expect(attested).rejects.toMatchObject({ code: 'ENGINE_ARTIFACT_CHANGED', exit: 4 });
  });

  it('records nothing of what it cannot read, judge or sign', async () => {
    writeFiles(home.dir, {
      'broken.json': '{',
      'empty.json': '{}',
      'origins-bad.yaml': 'registries: {a: &x [}',
      'origins-unknown.yaml': 'trust: everybody\n',
      'torn/package-lock.json': '{"lockfileVersion":',
    });
    await run(`
$ provost record deps HOME/bare --key ci
! provost: no file of sha256:<digest> says what it is made of
!   Put a lockfile or an SBOM into it, or give its SBOM with --sbom FILE.
!   (ENGINE_NO_DEPENDENCIES, exit 5)
? 5
$ provost record deps HOME/src --key bob
! provost: <…>bob<…>
!   <…>
!   (PROVENANCE_KEY_UNKNOWN, exit 2)
? 2
$ provost record deps HOME/src --key ci --sbom HOME/missing.json
! provost: cannot read the SBOM HOME/missing.json: <…>
!   Check the path and its permissions.
!   (CLI_FILE, exit 2)
? 2
$ provost record deps HOME/src --key ci --sbom HOME/broken.json
! provost: the SBOM HOME/broken.json is not JSON: <…>
!   <…>
!   (PROVENANCE_JSON, exit 4)
? 4
$ provost record deps HOME/src --key ci --sbom HOME/empty.json
! provost: the SBOM HOME/empty.json is not valid <…>
!   <…>
!   (PROVENANCE_DEPENDENCIES, exit 4)
? 4
$ provost record deps HOME/torn --key ci
! provost: package-lock.json is not JSON: <…>
!   <…>
!   (PROVENANCE_JSON, exit 4)
? 4
$ provost record deps HOME/src --key ci --origins HOME/origins-bad.yaml
! provost: the policy of origins HOME/origins-bad.yaml is not YAML: <…>
!   Write registries, namespaces and signers as lists, in YAML or JSON.
!   (ENGINE_ORIGINS, exit 2)
? 2
$ provost record deps HOME/src --key ci --origins HOME/origins-unknown.yaml
! provost: the policy of origins is not valid: <…>
!   <…>
!   (PROVENANCE_ORIGIN_POLICY, exit 2)
? 2
$ provost record deps HOME/nothing --key ci
! provost: there is no 'HOME/nothing'
...
? 2
$ provost record deps HOME/src
! error: required option '--key <name>' not specified
...
? 2
`);
  });
});
