// The data set recorded for real, small: whole, labelled, judged, and with nothing left on the host, also after the recorder was killed.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRecording } from '../../scripts/dataset/recording-folder.ts';
import { tracesOf, until } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';

const RECORD = join(PROJECT_FOLDER, 'scripts/dataset.ts');
const EVALUATE = join(PROJECT_FOLDER, 'scripts/evaluate.ts');
const RECORDING_MS_MAX = 100_000;

describe.skipIf(needs('root', 'runc', 'conmon'))('the data set', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'provost-dataset-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it(
    'is recorded, after a recorder that was killed as well, and leaves nothing on the host',
    async () => {
      const args = [RECORD, '--quick', '--seed', '7', '--out', folder];
      const home = join(folder, 'home');
      const killed = spawn(process.execPath, args, { stdio: 'ignore' });
      const isRunning = (): boolean => existsSync(join(home, 'run')) && readdirSync(join(home, 'run')).length > 0;
      await until('something runs', isRunning);
      killed.kill('SIGKILL');
      await new Promise((resolve) => killed.once('close', resolve));
      const id = readFileSync(join(home, 'id'), 'utf8').trim();
      expect(tracesOf(home, id)).not.toEqual([]);

      const { status, stderr, stdout } = spawnSync(process.execPath, args, {
        encoding: 'utf8',
        timeout: RECORDING_MS_MAX,
      });
      expect(status, stderr).toBe(0);
      expect(stdout).toMatch(/^train +4 +\d+ +0$/m);
      await until('nothing of it is left', () => tracesOf(home, id).length === 0).catch(() => undefined);
      expect(tracesOf(home, id)).toEqual([]);
      expect(readdirSync(folder).toSorted()).toEqual(['manifest.json', 'windows.jsonl.gz']);
    },
    RECORDING_MS_MAX + 20_000,
  );

  it('holds windows of every run with their calls, and those of attacks where they are', async () => {
    const { manifest, windows } = await readRecording(folder);
    expect(manifest.runs).toHaveLength(11);
    for (const { id, label, windows: count } of manifest.runs) {
      const own = windows.get(id) ?? [];
      expect(own.length, id).toBe(count);
      expect(own.filter(({ window }) => window.syscalls.size > 0).length, id).toBeGreaterThan(3);
      expect(
        own.some((one) => one.label === 'attack'),
        id,
      ).toBe(label === 'attack');
      expect(own[0]?.label, id).toBe('normal');
    }
    const scan = windows.get('port-scan-in-cache') ?? [];
    const connects = (label: string): number =>
      scan
        .filter((one) => one.label === label)
        .flatMap(({ window }) => window.audit)
        .filter(({ kind }) => kind === 'connect').length;
    expect(connects('attack')).toBeGreaterThan(100);
    // Those of its clients, at its start.
    expect(connects('normal')).toBeLessThan(connects('attack') / 5);
  });

  it('is judged: what is unmistakable is caught', () => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [EVALUATE, '--windows', folder, '--json'], {
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    const { behaviours } = JSON.parse(stdout) as { behaviours: { behaviour: string; kinds: string[] }[] };
    const kinds = new Map(behaviours.map(({ behaviour, kinds }) => [behaviour, kinds]));
    expect(kinds.get('credential-read')).toContain('credential-access');
    expect(kinds.get('port-scan')).toContain('port-scan');
  });
});
