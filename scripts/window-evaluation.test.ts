// The evaluation of recordings on made windows: what is caught counts, what is not does not, and nothing is learnt of what is judged.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent, Window } from '../src/behaviour/index.ts';
import { parsePolicy } from '../src/policy/index.ts';
import { countsOf, type Manifest, MANIFEST_FILE, WINDOWS_FILE } from './dataset/manifest.ts';
import { type Recorded, openWriter, readRecording, writeManifest } from './dataset/recording-folder.ts';
import { windowLine } from './dataset/recorded-run.ts';
import { evaluateWindows } from './window-evaluation.ts';
import { windowTable } from './window-table.ts';
import { quietWindow } from '../test/quiet-window.ts';

const { runtime } = parsePolicy(
  readFileSync(join(import.meta.dirname, '../policies/default.yaml'), 'utf8'),
  'default.yaml',
);
const START_MS = 1_000_000;
const READ = 0;

function windowAt(at: number, part: Partial<Window> = {}): Window {
  return {
    ...quietWindow,
    startMs: START_MS + at * 100,
    durationMs: 100,
    cpuMs: 20 + (at % 3),
    minorFaults: 10,
    pids: 3,
    syscalls: new Map([[READ, 100 + (at % 5)]]),
    grams: new Map([[7, 90]]),
    ...part,
  };
}

const theft: AuditEvent = { timeMs: 1, kind: 'open', comm: 'x', pid: 1, target: '/etc/shadow' };
type Run = Manifest['runs'][number];

function runOf(id: string, part: Partial<Run> = {}): Run {
  return {
    id,
    workload: 'web',
    split: 'test',
    label: part.behaviour === undefined ? 'normal' : 'attack',
    behaviour: null,
    technique: part.behaviour === undefined ? null : 'T1003.008',
    manner: part.behaviour === undefined ? null : 'plain',
    keptOut: false,
    seed: 1,
    attack: part.behaviour === undefined ? null : { fromMs: START_MS + 500, toMs: START_MS + 2000 },
    grant: { pids: 64, cpu: { millicores: 500 } },
    windows: 20,
    ...part,
  };
}

function manifestOf(runs: readonly Run[], windows: string): Manifest {
  const digest = '0'.repeat(64);
  const host = { kernel: '6', architecture: 'x64', processors: 2, node: 'v24', runc: '1', python: '3' };
  const counts = countsOf(runs, new Map());
  return {
    version: 1,
    seed: 7,
    quick: true,
    recorded: 'now',
    host,
    plan: digest,
    windows,
    counts,
    runs: [...runs],
  };
}

const calm = (count: number): Window[] => Array.from({ length: count }, (_, at) => windowAt(at));
const spoilt = (part: Partial<Window>, from: number): Window[] =>
  Array.from({ length: 20 }, (_, at) => windowAt(at, at >= from ? part : {}));

/** Mining: other calls than ever, and much of them. */
const odd: Partial<Window> = {
  cpuMs: 95,
  minorFaults: 90_000,
  syscalls: new Map([[200, 90_000]]),
  grams: new Map([[9, 1e5]]),
};

const cases: readonly (readonly [Run, readonly Window[]])[] = [
  [runOf('train', { split: 'train' }), calm(300)],
  [runOf('calm', { split: 'validation' }), calm(20)],
  [runOf('thief', { behaviour: 'thief', split: 'validation' }), spoilt({ audit: [theft] }, 7)],
  [runOf('miner', { behaviour: 'miner', keptOut: true }), spoilt(odd, 7)],
  [runOf('ghost', { behaviour: 'ghost' }), spoilt({}, 7)],
];

describe('a recording', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'provost-recording-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  async function write(): Promise<Recorded> {
    const writer = openWriter(folder);
    for (const [run, windows] of cases) writer.write(run, windows);
    writeManifest(
      folder,
      manifestOf(
        cases.map(([run]) => run),
        await writer.end(),
      ),
    );
    return readRecording(folder);
  }

  it('is read as it was written, each window with its label', async () => {
    const { windows } = await write();
    expect(windows.get('calm')?.map(({ window }) => window)).toEqual(calm(20));
    expect(windows.get('thief')?.map(({ label }) => label)).toEqual([
      ...Array.from({ length: 5 }, () => 'normal'),
      ...Array.from({ length: 15 }, () => 'attack'),
    ]);
    expect(windows.get('thief')?.[7]?.window.audit).toEqual([theft]);
  });

  it('is refused when its windows are not those of its manifest, and when it was not finished', async () => {
    await write();
    writeFileSync(join(folder, WINDOWS_FILE), 'x', { flag: 'a' });
    await expect(readRecording(folder)).rejects.toThrow(/not the file/);
    rmSync(join(folder, MANIFEST_FILE));
    await expect(readRecording(folder)).rejects.toThrow(/no whole recording/);
  });

  it.each([
    ['not JSON', '{', /^line 1: not JSON/],
    ['a run that is not in the manifest', windowLine({ id: 'other', attack: null }, windowAt(0)), /^line 1: no run/],
    ['a part too few', '{"run":"a","label":"normal"}', /^line 1: window is not/],
    ['a negative amount', windowLine({ id: 'a', attack: null }, windowAt(0, { cpuMs: -1 })), /^line 1: window.cpuMs/],
    ['an endless line', `"${'x'.repeat(5_000_000)}"`, /^line 1: too long/],
  ])('is refused when a line is %s', async (_name, line, why) => {
    const bytes = gzipSync(`${line}\n`);
    writeFileSync(join(folder, WINDOWS_FILE), bytes);
    writeManifest(folder, manifestOf([runOf('a')], createHash('sha256').update(bytes).digest('hex')));
    await expect(readRecording(folder)).rejects.toThrow(why);
  });

  it('shows which runs were caught, by what and when', async () => {
    const { attacks, behaviours, runs } = evaluateWindows(await write(), runtime);
    expect(attacks.open).toEqual({ caught: 1, actedOn: 1, runs: 2 });
    expect(attacks.validation).toEqual({ caught: 1, actedOn: 1, runs: 1 });
    expect(attacks.keptOut).toEqual({ caught: 1, actedOn: 1, runs: 1 });
    expect(behaviours.map(({ behaviour, kinds }) => [behaviour, kinds[0]])).toEqual([
      ['thief', 'credential-access'],
      ['miner', 'alarm'],
      ['ghost', undefined],
    ]);
    const [thief, miner, ghost] = runs.slice(-3);
    expect(thief?.caughtAfterMs).toBe(300);
    expect(miner?.caughtAfterMs).toBeGreaterThan(300);
    expect(ghost).toMatchObject({ caught: false, caughtAfterMs: null, findings: [] });
  });

  it('counts what is found before an attack as false, and says how little a short time shows', async () => {
    const recorded = await write();
    const clean = evaluateWindows(recorded, runtime).falseFindings;
    // 20 windows of the calm run, and five before each of the three attacks.
    expect(clean.containerMinutes).toBeCloseTo(3.5 / 60);
    expect(clean).toMatchObject({ actions: 0, alerts: 0, actionsPerThousand: 0 });
    expect(clean.boundPerThousand).toBeCloseTo(3000 / (3.5 / 60));
    const early = spoilt({ audit: [theft] }, 0).map((window) => ({ label: 'normal' as const, window }));
    const windows = new Map([...recorded.windows, ['ghost', early]]);
    const { falseFindings } = evaluateWindows({ ...recorded, windows }, runtime);
    expect(falseFindings).toMatchObject({ actions: 1, alerts: 0, boundPerThousand: null });
    expect(falseFindings.actionsPerThousand).toBeCloseTo(1000 / (3.5 / 60));
  });

  it('gives the same outcome however often, and in whatever order its runs are judged', async () => {
    const recorded = await write();
    const first = evaluateWindows(recorded, runtime);
    expect(evaluateWindows(recorded, runtime)).toEqual(first);
    const turned = { ...recorded, manifest: { ...recorded.manifest, runs: recorded.manifest.runs.toReversed() } };
    expect(evaluateWindows(turned, runtime).runs.toReversed()).toEqual(first.runs);
  });

  it('prints a table with the targets beside', async () => {
    const table = windowTable(evaluateWindows(await write(), runtime));
    expect(table).toMatch(/^thief +T1003\.008 +plain +1\/1 +1\/1 +credential-access, alarm$/m);
    expect(table).toMatch(/^miner \* /m);
    expect(table).toMatch(/^both +caught 50 %.* target 95 %$/m);
    expect(table).toMatch(/rules out only more than \d+/);
  });
});
