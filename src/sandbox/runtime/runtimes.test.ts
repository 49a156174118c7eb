import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { ProbeMemory } from './runtimes.ts';

const candidate = { path: process.execPath, arguments: ['--x'], detail: 'a runtime' };
const success = { ok: true, version: '1', path: process.execPath, detail: 'a runtime' } as const;
const dirs: string[] = [];

function tempFile(): string {
  const dir = mkdtempSync(join(tmpdir(), 'provost-probes-'));
  dirs.push(dir);
  return join(dir, 'probes.json');
}

afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

describe('what is remembered of runtimes', () => {
  it('are successes, also for the next process', () => {
    const file = tempFile();
    new ProbeMemory(file).set(candidate, success);
    expect(new ProbeMemory(file).get(candidate)).toEqual(success);
    expect(new ProbeMemory(file).get({ ...candidate, arguments: [] })).toBeUndefined();
  });

  it('are failures for this process alone: what is missing may be there tomorrow', () => {
    const file = tempFile();
    const memory = new ProbeMemory(file);
    memory.set(candidate, { ok: false, reason: 'no', hint: 'try' });
    expect(memory.get(candidate)).toMatchObject({ ok: false });
    expect(new ProbeMemory(file).get(candidate)).toBeUndefined();
  });

  it('is nothing when the file is damaged or missing', () => {
    const file = tempFile();
    expect(new ProbeMemory(file).get(candidate)).toBeUndefined();
    writeFileSync(file, '[["half');
    expect(new ProbeMemory(file).get(candidate)).toBeUndefined();
    new ProbeMemory(file).set(candidate, success);
    expect(readFileSync(file, 'utf8')).toContain('a runtime');
  });
});
