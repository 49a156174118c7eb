import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStore, type Store } from '../store/index.ts';
import { PublisherHistory } from './publisher-history.ts';

describe('the history of publishers', () => {
  let dir: string;
  let store: Store;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'provost-history-'));
    store = openStore(join(dir, 'state.sqlite'), { homeId: '0a0b0c' });
  });
  afterEach(() => {
    store[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  it('adds clean time up, and starts anew after a fault', () => {
    const history = new PublisherHistory(store);
    history.addClean('alice', 1000);
    history.addClean('alice', 500);
    expect(history.trusted('alice')).toMatchObject({ cleanMs: 1500, faults: [] });
    history.addFault('alice', { kind: 'incident', severity: 'high', atMs: 7 });
    expect(history.trusted('alice')).toMatchObject({ cleanMs: 0, faults: [{ severity: 'high' }] });
    expect(history.trusted('bob')).toMatchObject({ cleanMs: 0, faults: [] });
  });

  it('is kept with a save, and by itself every few seconds', () => {
    const history = new PublisherHistory(store);
    history.addClean('alice', 1000);
    expect(new PublisherHistory(store).trusted('alice').cleanMs).toBe(0);
    history.saveSometimes(10_000);
    expect(new PublisherHistory(store).trusted('alice').cleanMs).toBe(1000);
    history.addClean('alice', 1000);
    history.saveSometimes(11_000);
    expect(new PublisherHistory(store).trusted('alice').cleanMs).toBe(1000);
    history.save(11_000);
    expect(new PublisherHistory(store).trusted('alice').cleanMs).toBe(2000);
  });
});
