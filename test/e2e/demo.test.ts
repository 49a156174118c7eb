// The demo, played once to its end and interrupted twice: what it claims holds, and nothing of it is left on the host.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { tracesOf, until } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';

/** Some 30 s on a host of its own; all tests of a run share two cores. */
const PLAYED_WITHIN_MS = 150_000;
/** More than npm and a terminal send between them. */
const SIGNALS_SENT = 2;

interface Line {
  readonly step?: string;
  readonly event?: string;
  readonly workload?: string;
  readonly ok?: boolean;
  readonly text?: string;
  readonly number?: string;
  readonly rows?: readonly { readonly what: string; readonly granted: string; readonly found: string }[];
}

describe.skipIf(needs('root', 'runc', 'runsc', 'conmon', 'nft', 'bpftrace', 'busybox', 'mkfs.ext4'))('the demo', () => {
  let folder: string;
  let child: ChildProcess;
  let stdout: string;
  let stderr: string;
  let ended: Promise<number | null>;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'provost-demo-test-'));
    [stdout, stderr] = ['', ''];
    child = spawn(join(PROJECT_FOLDER, 'bin/provost'), ['demo', '--json'], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    ended = new Promise((resolve) => child.once('close', resolve));
  });
  afterEach(async () => {
    child.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });

  const lines = (): Line[] =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line);

  /** The short id that the demo's home marks everything with. */
  const homeId = async (): Promise<string> => {
    const idFiles = (): string[] =>
      readdirSync(folder)
        .map((name) => join(folder, name, 'id'))
        .filter((file) => existsSync(file));
    await until('the home has its id', () => idFiles().some((file) => readFileSync(file, 'utf8').length > 0));
    return readFileSync(idFiles()[0] ?? '', 'utf8').trim();
  };

  it('claims nothing that does not hold, and leaves nothing', { timeout: PLAYED_WITHIN_MS }, async () => {
    const id = await homeId();
    const code = await ended;
    const claims = lines().filter(({ step }) => step === 'claim');
    expect(claims.filter(({ ok }) => ok !== true)).toEqual([]);
    expect(claims.length, stdout.slice(-2000)).toBeGreaterThan(20);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const grants = lines().filter(({ event }) => event === 'grant');
    expect(grants).toEqual([
      expect.objectContaining({ workload: 'web', fromTier: 'medium', toTier: 'high', enforced: true }),
      expect.objectContaining({ workload: 'web', fromTier: 'medium', toTier: 'low', enforced: true }),
    ]);
    expect(lines().find(({ event }) => event === 'incident')).toMatchObject({ workload: 'web', severity: 'high' });
    expect(lines().at(-1)).toMatchObject({ step: 'summary', ok: true, held: claims.length });
    const cpu = lines().flatMap(({ rows = [] }) => rows.filter(({ what }) => what === 'CPU'));
    expect(cpu.map(({ granted, found }) => [granted, found])).toEqual([
      ['500m', '500m'],
      ['1000m', '1000m'],
      ['100m', '100m'],
      [expect.stringMatching(/^(500|1000)m$/), cpu.at(-1)?.granted],
    ]);
    expect(readdirSync(folder)).toEqual([]);
    expect(tracesOf(folder, id)).toEqual([]);
  });

  it.each([
    ['while its supervisor comes up', 'the policy is told', ({ step }: Line) => step === 'act'],
    ['while a workload earns', 'web has started', ({ event }: Line) => event === 'started'],
  ])('cleans up when it is interrupted %s', async (_, what, isReached) => {
    await until(what, () => lines().some(isReached));
    const id = await homeId();
    for (let sent = 0; sent < SIGNALS_SENT; sent += 1) child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(lines().at(-1)).toMatchObject({ step: 'claim', ok: true, number: 'nothing' });
    expect(readdirSync(folder)).toEqual([]);
    expect(tracesOf(folder, id)).toEqual([]);
  });
});
