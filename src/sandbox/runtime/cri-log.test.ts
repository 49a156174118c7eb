import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LogLine, parseCriEntry, readCriLog } from './cri-log.ts';

const TIME = '2026-01-02T03:04:05.123456789+00:00';
let dir = '';
let path = '';

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'provost-log-'));
  path = join(dir, 'output.log');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('parseCriEntry', () => {
  it('reads time, stream, tag and text as they are', () => {
    expect(parseCriEntry(`${TIME} stderr P  two  spaces `)).toEqual({
      time: TIME,
      stream: 'stderr',
      text: ' two  spaces ',
      isPartial: true,
    });
  });

  it.each(['', 'no log', `${TIME} stdin F x`, `${TIME} stdout X x`, ` ${TIME} stdout F x`])('refuses %j', (entry) => {
    expect(parseCriEntry(entry)).toBeNull();
  });
});

describe('readCriLog', () => {
  it('finds a missing log empty', async () => {
    expect(await texts(readCriLog(path))).toEqual([]);
  });

  it('reads whole lines, and not one that is still being written', async () => {
    writeFileSync(path, `${TIME} stdout F one\nrubbish\n${TIME} stderr F two\n${TIME} stdout F thr`);
    expect(await texts(readCriLog(path))).toEqual(['one', 'two']);
  });

  it('follows a log that appears, grows and is started over', async () => {
    const stop = new AbortController();
    const lines = readCriLog(path, { follow: true, signal: stop.signal });
    const first = lines.next();
    writeFileSync(path, `${TIME} stdout F one\n${TIME} stdout F tw`);
    expect((await first).value).toMatchObject({ text: 'one' });
    appendFileSync(path, 'o\n');
    expect((await lines.next()).value).toMatchObject({ text: 'two' });
    writeFileSync(`${path}.tmp`, `${TIME} stdout F three\n`);
    renameSync(`${path}.tmp`, path);
    expect((await lines.next()).value).toMatchObject({ text: 'three' });
    appendFileSync(path, `${TIME} stdout F last\n`);
    stop.abort();
    expect(await texts(lines)).toEqual(['last']);
  });

  it('does not wait for a log whose end was told before', async () => {
    writeFileSync(path, `${TIME} stdout F all\n`);
    expect(await texts(readCriLog(path, { follow: true, signal: AbortSignal.abort() }))).toEqual(['all']);
  });
});

async function texts(lines: AsyncIterable<LogLine>): Promise<string[]> {
  const found: string[] = [];
  for await (const line of lines) found.push(line.text);
  return found;
}
