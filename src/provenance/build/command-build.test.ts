import { describe, expect, it } from 'vitest';

import { digestOf } from '../../artifact/index.ts';
import { canonicalJson } from '../../base/index.ts';
import { isDockerfile, pinnedImages } from './base-images.ts';
import { builderId, COMMAND_BUILD_TYPE, describeBuild, type FinishedBuild, parseBuild } from './command-build.ts';
import { tellEnvironment, toolsIn, variablesToRepeat } from './environment.ts';
import { sourceUri } from './source-uri.ts';

const HEX = 'ab'.repeat(32);
const build: FinishedBuild = {
  command: ['make', 'dist/app'],
  isIsolated: true,
  workdir: 'packages/web',
  fetch: 'npm ci',
  isClean: true,
  environment: {
    variables: { LANG: 'C' },
    otherNames: ['TOKEN'],
    tools: { make: 'GNU Make 4.3' },
    platform: 'linux/x64',
  },
  commit: { uri: 'git+https://git.test/shop', id: '12'.repeat(20), digest: digestOf('commit') },
  materials: [{ name: 'package-lock.json', uri: null, digests: new Map([['sha256', HEX]]) }],
  homeId: '3f9a01',
  builderVersion: '1.0.0',
  invocationId: 'one',
  startedMs: Date.UTC(2026, 0, 2),
  finishedMs: Date.UTC(2026, 0, 3),
};
const wire = (): { buildDefinition: Record<string, object>; runDetails: object } =>
  JSON.parse(canonicalJson(describeBuild(build))) as ReturnType<typeof wire>;

describe('the provenance of a build by command', () => {
  it('says what went in, what was done, and by whom', () => {
    expect(wire()).toEqual({
      buildDefinition: {
        buildType: COMMAND_BUILD_TYPE,
        externalParameters: { command: ['make', 'dist/app'], isolated: true, workdir: 'packages/web', fetch: 'npm ci' },
        internalParameters: { environment: build.environment, isClean: true },
        resolvedDependencies: [
          {
            uri: 'git+https://git.test/shop',
            digest: { gitCommit: '12'.repeat(20), sha256: digestOf('commit').slice('sha256:'.length) },
          },
          { name: 'package-lock.json', digest: { sha256: HEX } },
        ],
      },
      runDetails: {
        builder: { id: 'https://provost.dev/builder/3f9a01/isolated', version: { provost: '1.0.0' } },
        metadata: {
          invocationId: 'one',
          startedOn: '2026-01-02T00:00:00.000Z',
          finishedOn: '2026-01-03T00:00:00.000Z',
        },
        byproducts: [],
      },
    });
    expect(builderId('3f9a01', { isIsolated: false })).toBe('https://provost.dev/builder/3f9a01');
  });

  it('is read back to the same build', () => {
    const { provenance, ...read } = parseBuild(wire());
    const { homeId, builderVersion, invocationId, startedMs, finishedMs, ...asked } = build;
    expect(read).toEqual(asked);
    expect(provenance.metadata).toEqual({ invocationId, startedMs, finishedMs });
    expect([homeId, builderVersion]).toEqual(['3f9a01', provenance.builder.version.get('provost')]);
    const plain = parseBuild(describeBuild({ ...build, workdir: '', fetch: null }));
    expect([plain.workdir, plain.fetch]).toEqual(['', null]);
  });

  it.each<[string, object]>([
    ['another build type', { buildType: 'https://other.test/v1' }],
    ['no command', { externalParameters: { command: [], isolated: true } }],
    ['a command that is none', { externalParameters: { command: 'make', isolated: true } }],
    ['a work folder above the top', { externalParameters: { command: ['a'], isolated: true, workdir: '../a' } }],
    ['a work folder from the root', { externalParameters: { command: ['a'], isolated: true, workdir: '/a' } }],
    ['a work folder in git’s own', { externalParameters: { command: ['a'], isolated: true, workdir: 'a/.git/hooks' } }],
    ['no word on its work tree', { internalParameters: { environment: build.environment } }],
    ['no environment', { internalParameters: { isClean: true } }],
    ['no commit', { resolvedDependencies: [] }],
    ['a commit without SHA-256', { resolvedDependencies: [{ digest: { gitCommit: '12'.repeat(20) } }] }],
    ['a first material that is no commit', { resolvedDependencies: [{ digest: { sha256: HEX } }] }],
  ])('cannot be built again with %s', (_, fields) => {
    const { buildDefinition, runDetails } = wire();
    expect(() => parseBuild({ buildDefinition: { ...buildDefinition, ...fields }, runDetails })).toThrow(
      expect.objectContaining({ code: 'PROVENANCE_BUILD_TYPE', exit: 5 }),
    );
  });
});

describe('an environment', () => {
  it('is told by names, and by values only where these are no secrets', () => {
    const told = tellEnvironment({
      PATH: '/bin',
      TOKEN: 'secret',
      LANG: 'C',
      EMPTY: undefined,
      CI: 'x'.repeat(20_000),
    });
    expect(told).toEqual({ variables: { LANG: 'C', PATH: '/bin' }, otherNames: ['CI', 'TOKEN'] });
    expect(canonicalJson(told)).not.toContain('secret');
  });

  it('is repeated but for where programs are, and for what nobody should be told', () => {
    expect(variablesToRepeat({ variables: { PATH: '/evil', LD_PRELOAD: '/evil.so', TZ: 'UTC' } })).toEqual({
      TZ: 'UTC',
    });
  });

  it('has the tools that the command names', () => {
    const tools = toolsIn(['sh', '-c', 'npm ci && go build ./... ; nodeX']);
    expect(Object.fromEntries(tools)).toEqual({ go: ['version'], npm: ['--version'] });
  });
});

it.each([
  ['https://alice:token@git.test/shop.git?x=1#y', 'git+https://git.test/shop.git'],
  ['git@git.test:shop/web.git', 'git+ssh://git.test/shop/web.git'],
  ['ssh://git@git.test:22/shop', 'git+ssh://git.test:22/shop'],
  ['ext::sh -c "cat /etc/passwd"', 'git+file:///src/my%20shop'],
  ['../shop', 'git+file:///src/my%20shop'],
  ['data://text/html', 'git+file:///src/my%20shop'],
  [`https://git.test/${'x'.repeat(2000)}`, 'git+file:///src/my%20shop'],
  [null, 'git+file:///src/my%20shop'],
])('names the source %.30s without what is private', (remote, uri) => {
  expect(sourceUri(remote, '/src/my shop')).toBe(uri);
});

it('knows the base images that a Dockerfile pins', () => {
  const text = `FROM --platform=linux/amd64 docker.io/library/node:24@sha256:${HEX} AS build
from debian@sha256:${HEX}
FROM debian:12
FROM debian@sha256:${HEX}
# FROM other@sha256:${HEX}
RUN echo FROM x@sha256:${HEX}
FROM build
`;
  expect(pinnedImages(text).map(({ name }) => name)).toEqual([
    `docker.io/library/node:24@sha256:${HEX}`,
    `debian@sha256:${HEX}`,
  ]);
  expect(['Dockerfile', 'a/Containerfile', 'a/Dockerfile.web', 'web.dockerfile'].filter(isDockerfile)).toHaveLength(4);
  expect(['Dockerfiles', 'a/Dockerfile/x', 'MyDockerfile'].filter(isDockerfile)).toEqual([]);
});
