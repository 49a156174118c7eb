import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { logFormats, parseLogFormat, readLogFormat } from './log-format.ts';
import { openJournal } from './own-journal.ts';
import { makePublicLog, openPublicLog } from './public-log.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'provost-format-'));
});

afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

const at = (name: string): string => join(dir, name);
const error = (code: string): unknown => expect.objectContaining({ code, exit: 2 });

describe('the format of a log', () => {
  it.each(logFormats)('is kept: %s', (format) => {
    makePublicLog(at('log'), 'example.com/log', format);
    expect([readFileSync(at('log/format'), 'utf8'), readLogFormat(at('log'))]).toEqual([`${format}\n`, format]);
    for (const other of logFormats) {
      const code = other === format ? 'LEDGER_EXISTS' : 'LEDGER_FORMAT';
      expect(() => makePublicLog(at('log'), 'example.com/log', other), other).toThrow(error(code));
    }
    expect(readLogFormat(at('log'))).toBe(format);
  });

  it('is raw where a log says none, and refused where it is not known', async () => {
    makePublicLog(at('log'), 'example.com/log');
    rmSync(at('log/format'));
    expect(readLogFormat(at('log'))).toBe('raw');
    writeFileSync(at('log/format'), 'later\n');
    await expect(openPublicLog({ dir: at('log'), witnesses: [], quorum: 0 })).rejects.toEqual(error('LEDGER_FORMAT'));
    for (const text of ['', 'RAW', 'raw ', 'toString', 'x'.repeat(1000)])
      expect(() => parseLogFormat(text), text).toThrow(error('LEDGER_FORMAT'));
  });

  it('is provost for the journal of a home, also of one that said none before, and no other log is taken for it', async () => {
    await (await openJournal(at('log'), 'example.com/home'))[Symbol.asyncDispose]();
    rmSync(at('log/format'));
    await (await openJournal(at('log'), 'example.com/home'))[Symbol.asyncDispose]();
    expect(readLogFormat(at('log'))).toBe('provost');
    makePublicLog(at('other'), 'example.com/log', 'raw');
    await expect(openJournal(at('other'), 'example.com/home')).rejects.toEqual(error('LEDGER_FORMAT'));
  });

  it('is not said by a log that cannot be made', () => {
    for (const name of ['a b', '', 'https://example.com', 'example.com/', 'example.com/a?b', '-a.com', 'a.com:x'])
      expect(() => makePublicLog(at('log'), name, 'gosum'), name).toThrow(error('LEDGER_KEY'));
    expect(existsSync(at('log'))).toBe(false);
    expect(() => makePublicLog(at('log'), 'a b', 'raw')).toThrow(error('LEDGER_KEY'));
    makePublicLog(at('log'), 'localhost:8080/a/b_c', 'gosum');
    expect(readLogFormat(at('log'))).toBe('gosum');
    mkdirSync(at('full/format.new'), { recursive: true });
    expect(() => makePublicLog(at('full'), 'example.com/log')).toThrow(
      expect.objectContaining({ code: 'LEDGER_STOPPED' }),
    );
    expect(existsSync(at('full/key'))).toBe(false);
  });
});
