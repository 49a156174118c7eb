import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openExecFifo } from './exec-fifo.ts';

const ID = 'box';

describe('the start of a container that runc has created', () => {
  let root: string;
  let fifo: string;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'provost-fifo-'));
    mkdirSync(join(root, ID));
    fifo = join(root, ID, 'exec.fifo');
    execFileSync('mkfifo', [fifo]);
  });

  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it('is done once the waiting init has written its byte, and then not again', async () => {
    const init = spawn('sh', ['-c', 'printf 0 > "$0"', fifo]);
    await openExecFifo(root, ID, new AbortController().signal);
    expect(existsSync(fifo)).toBe(false);
    await expect(openExecFifo(root, ID, new AbortController().signal)).rejects.toMatchObject({ code: 'SANDBOX_START' });
    init.kill();
  });

  it('has failed when the container has ended before', async () => {
    const ended = new AbortController();
    const starting = openExecFifo(root, ID, ended.signal);
    ended.abort();
    await expect(starting).rejects.toMatchObject({ code: 'SANDBOX_START' });
    await expect(openExecFifo(root, ID, AbortSignal.abort())).rejects.toMatchObject({ code: 'SANDBOX_START' });
  });

  it('has failed when its init breaks off', async () => {
    const starting = openExecFifo(root, ID, new AbortController().signal);
    execFileSync('sh', ['-c', ': > "$0"', fifo]);
    await expect(starting).rejects.toMatchObject({ code: 'SANDBOX_START' });
  });
});
