import { describe, expect, it } from 'vitest';

import { digestOf, type ImageConfig, type LayerFacts, type PathList } from '../artifact/index.ts';
import { hygieneChecks, hygieneEvidence, type HygieneInput } from './index.ts';

const NOW_MS = Date.UTC(2026, 0, 31);
const DAY_MS = 86_400_000;
const config: ImageConfig = {
  user: '1000',
  env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'LANG=C'],
  entrypoint: [],
  cmd: ['nginx'],
  workingDir: '/',
  exposedPorts: [],
  volumes: [],
  stopSignal: null,
  createdMs: NOW_MS - DAY_MS,
  labels: {},
};
const list = (...paths: readonly string[]): PathList => ({ count: paths.length, paths });
const cut = (count: number, ...paths: readonly string[]): PathList => ({ count, paths });

function layer(fields: Partial<LayerFacts> = {}): LayerFacts {
  const diffId = digestOf('layer');
  const none = list();
  return {
    diffId,
    entries: 10,
    bytes: 100,
    setuid: none,
    capabilities: none,
    worldWritableDirs: none,
    worldWritableFiles: none,
    secrets: { count: 0, found: [] },
    removes: none,
    ...fields,
  };
}

function scoresOf(
  fields: Partial<ImageConfig>,
  facts: HygieneInput['facts'] = [layer()],
  kind: HygieneInput['artifact']['kind'] = 'image',
) {
  const artifact = { digest: digestOf('image'), kind, config: { ...config, ...fields } };
  const evidence = hygieneEvidence({ artifact, facts, nowMs: NOW_MS });
  expect(evidence.map(({ check }) => check)).toEqual([...hygieneChecks]);
  for (const { score, source, reason } of evidence) {
    expect(score).toBeGreaterThanOrEqual(0);
    expect(score).toBeLessThanOrEqual(1);
    expect([source, reason.endsWith('.')]).toEqual([artifact.digest, false]);
  }
  return Object.fromEntries(evidence.map(({ check, score, reason }) => [check, { score, reason }]));
}

const scoreOf = (check: string, facts: readonly LayerFacts[], fields: Partial<ImageConfig> = {}) =>
  scoresOf(fields, facts)[check]?.score;

it('gives a clean image full marks on every check', () => {
  expect(Object.values(scoresOf({})).map(({ score }) => score)).toEqual([1, 1, 1, 1, 1]);
});

it.each([
  ['host', "the host's own root says nothing of its making and is not examined"],
  ['file', 'a file says nothing of its making and is not examined'],
] as const)('scores a %s with nothing, and says why', (kind, reason) => {
  expect(new Set(Object.values(scoresOf({}, [layer()], kind)).map((one) => `${one.score} ${one.reason}`))).toEqual(
    new Set([`0 ${reason}`]),
  );
});

it.each([[[]], [[null]], [[layer(), null]]])(
  'scores what was not examined with nothing, but still what the configuration says',
  (facts) => {
    expect(Object.values(scoresOf({}, facts)).map(({ score }) => score)).toEqual([1, 0, 0, 0, 1]);
    expect(scoresOf({}, facts)['base.setuid']?.reason).toBe('its files were not examined');
  },
);

it('judges a plain root file system by its files', () => {
  const scores = scoresOf({ user: '', createdMs: null }, [layer()], 'rootfs');
  expect(Object.values(scores).map(({ score }) => score)).toEqual([0.3, 1, 1, 1, 0]);
});

describe('base.user', () => {
  it.each([
    ['', 0.3],
    ['root', 0.3],
    ['0', 0.3],
    ['00:1000', 0.3],
    ['root:www-data', 0.3],
    ['1000', 1],
    ['65534:65534', 1],
    ['www-data', 0.9],
    ['99999999999', 0.9],
  ])('scores the user %j with %d', (user, score) => {
    expect(scoresOf({ user })['base.user']?.score).toBe(score);
  });
});

describe('base.setuid', () => {
  const stock = layer({ setuid: list('usr/bin/su', 'usr/bin/passwd', 'usr/lib/openssh/ssh-keysign', 'bin/mount') });

  it('lowers an image with stock programs a little, and each further program more', () => {
    const scores = [
      [stock],
      [stock, layer({ setuid: list('opt/x') })],
      [stock, layer({ setuid: list('opt/x', 'opt/y') })],
    ];
    expect(scores.map((facts) => scoreOf('base.setuid', facts)?.toFixed(2))).toEqual(['0.80', '0.60', '0.40']);
  });

  it('does not take a stock name in another place for stock, and counts file capabilities', () => {
    expect(scoreOf('base.setuid', [layer({ setuid: list('srv/su') })])).toBeCloseTo(0.6);
    expect(scoreOf('base.setuid', [layer({ capabilities: list('usr/bin/tool') })])).toBeCloseTo(0.6);
    expect(scoreOf('base.setuid', [layer({ setuid: list('opt/x'), capabilities: list('opt/x') })])).toBeCloseTo(0.6);
  });

  it('forgets what a later layer removes, alone, with its folder, or under an opaque folder', () => {
    const bad = layer({ setuid: list('opt/a/x') });
    for (const gone of ['opt/a/x', 'opt/a', 'opt/', 'opt/a/']) {
      expect(scoreOf('base.setuid', [bad, layer({ removes: list(gone) })]), gone).toBe(1);
    }
    for (const other of ['opt/a/xy', 'opt/b', 'op']) {
      expect(scoreOf('base.setuid', [bad, layer({ removes: list(other) })]), other).toBeCloseTo(0.6);
    }
    expect(scoreOf('base.setuid', [layer({ removes: list('opt/a/x') }), bad])).toBeCloseTo(0.6);
  });

  it('counts what a cut list hides', () => {
    expect(scoreOf('base.setuid', [layer({ setuid: cut(500, 'usr/bin/su') })])).toBe(0);
    expect(scoreOf('base.setuid', [layer({ setuid: cut(1) })])).toBeCloseTo(0.6);
  });
});

describe('base.secrets', () => {
  const secrets = (...found: LayerFacts['secrets']['found']) => [layer({ secrets: { count: found.length, found } })];

  it('gives nothing for a key or token, also in a layer that a later one hides', () => {
    const leaked = secrets({ path: 'root/.ssh/id_rsa', kind: 'ssh-key-file' });
    expect(scoreOf('base.secrets', leaked)).toBe(0);
    expect(scoreOf('base.secrets', [...leaked, layer({ removes: list('root/.ssh/id_rsa') })])).toBe(0);
  });

  it('lets the worst decide between settings, fixtures and keys', () => {
    const env = { path: 'app/.env', kind: 'env-file' } as const;
    const fixture = { path: 'usr/lib/python3/test/certs/key.pem', kind: 'private-key' } as const;
    const key = { path: 'app/test/key.pem', kind: 'private-key' } as const;
    expect(
      [secrets(fixture), secrets(fixture, env), secrets(env, key, fixture)].map((facts) =>
        scoreOf('base.secrets', facts),
      ),
    ).toEqual([0.8, 0.4, 0]);
  });

  it('takes findings that are not listed for leaked, and never shows a secret', () => {
    expect(
      scoreOf('base.secrets', [layer({ secrets: { count: 2, found: [{ path: 'a/.env', kind: 'env-file' }] } })]),
    ).toBe(0);
    expect(scoresOf({}, [layer({ secrets: { count: 1, found: [] } })])['base.secrets']).toEqual({
      score: 0,
      reason: '1 file seems to hold a secret',
    });
  });
});

describe('base.path', () => {
  const withPath = (path: string, fields: Partial<LayerFacts> = {}) =>
    scoreOf('base.path', [layer(fields)], { env: [`PATH=${path}`] });

  it.each([
    ['an empty entry', '/usr/bin:'],
    ['a relative entry', 'bin:/usr/bin'],
    ['the working folder', '/bin:.'],
    ['a public folder', '/tmp/bin:/bin'],
    ['a public folder behind dots', '/usr/../tmp//bin'],
  ])('gives nothing for %s', (_, path) => {
    expect(withPath(path)).toBe(0);
  });

  it('gives nothing for a folder, its parent or a program that everybody may write to', () => {
    expect(withPath('/opt/app/bin', { worldWritableDirs: list('opt/app/bin') })).toBe(0);
    expect(withPath('/opt/app/bin', { worldWritableDirs: list('opt') })).toBe(0);
    expect(withPath('/opt/app/bin', { worldWritableFiles: list('opt/app/bin/tool') })).toBe(0);
    expect(
      withPath('/opt/app/bin', {
        worldWritableDirs: list('opt/other', 'opt/app/bin/sub'),
        worldWritableFiles: list('opt/x'),
      }),
    ).toBe(1);
  });

  it('takes the default when the image says nothing, and the last entry when it says it twice', () => {
    expect(scoreOf('base.path', [layer({ worldWritableDirs: list('usr/local/bin') })], { env: [] })).toBe(0);
    expect(scoreOf('base.path', [layer()], { env: ['PATH=/tmp', 'PATH=/bin'] })).toBe(1);
  });

  it('gives half when a list was cut short', () => {
    expect(withPath('/bin', { worldWritableFiles: cut(101, 'srv/x') })).toBe(0.5);
  });
});

describe('base.age', () => {
  const aged = (days: number | null) =>
    scoresOf({ createdMs: days === null ? null : NOW_MS - days * DAY_MS })['base.age']?.score;

  it('decays from one at 30 days to nothing at two years, and never rises', () => {
    expect([0, 30, 380, 730, 3000].map(aged)).toEqual([1, 1, 0.5, 0, 0]);
    for (let days = 1; days < 800; days += 1) expect(aged(days)).toBeLessThanOrEqual(aged(days - 1) ?? 0);
  });

  it('gives nothing to an image that does not say, says 1970, or says tomorrow', () => {
    expect([aged(null), aged(NOW_MS / DAY_MS), aged(-2)]).toEqual([0, 0, 0]);
    expect(aged(-0.5)).toBe(1);
  });
});
