// The command `npm run evaluate`: its JSON, its table, and what it says to a file that it cannot read.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'provost-evaluate-'));
afterAll(() => rmSync(folder, { recursive: true }));

const traceOf = (set: string, at: number): string => {
  const calls = set === 'attack' ? [102, 63, at, 63, 102] : [11, 45, 5, 3, 3 + (at % 2), 6, 252];
  return JSON.stringify({ set, label: 'x', id: `${set}-${at}`, calls });
};
const text = ['train', 'validation', 'attack']
  .flatMap((set) => Array.from({ length: 20 }, (_, at) => `${traceOf(set, at)}\n`))
  .join('');

function evaluate(
  name: string,
  bytes: string | Uint8Array,
  ...flags: string[]
): { status: number | null; out: string; err: string } {
  const file = join(folder, name);
  writeFileSync(file, bytes);
  const args = [join(import.meta.dirname, 'evaluate.ts'), '--data', file, ...flags];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  return { status, out: stdout, err: stderr };
}

describe('evaluate', () => {
  it('prints one object with a score for each trace, the same for a gzipped file', () => {
    const { status, out, err } = evaluate('a.jsonl', text, '--json');
    expect([status, err]).toEqual([0, '']);
    const { auc, detection, calibration, scores } = JSON.parse(out) as Record<string, unknown>;
    expect(auc).toBe(1);
    expect(detection).toEqual({ '0.01': 1, '0.05': 1 });
    expect(calibration).toMatchObject([{ promised: 0.01 }, { promised: 0.05 }]);
    expect(scores).toHaveLength(60);
    expect((scores as unknown[])[59]).toEqual({ set: 'attack', id: 'attack-19', score: expect.any(Number) as unknown });
    expect(evaluate('a.jsonl.gz', gzipSync(text), '--json').out).toBe(out);
  });

  it('prints a table with simple detectors beside', () => {
    const { status, out } = evaluate('b.jsonl', text);
    expect(status).toBe(0);
    expect(out).toMatch(/^provost +1\.000 +1\.000 +1\.000/m);
    expect(out).toMatch(/^STIDE, 6 calls /m);
    expect(out).toMatch(/million system calls scored a second/);
  });

  it('says what is wrong with a file, and exits with 2', () => {
    const { status, out, err } = evaluate('c.jsonl', `${text}{"set":"train"}\n`, '--json');
    expect([status, out]).toEqual([2, '']);
    expect(err).toMatch(/^evaluate: line 61: 'label'/);
    expect(evaluate('d.jsonl', text, '--nonsense').status).toBe(2);
    const none = evaluate('e.jsonl', text, '--windows', folder);
    expect([none.status, none.out]).toEqual([2, '']);
    expect(none.err).toMatch(/holds no whole recording/);
  });
});
