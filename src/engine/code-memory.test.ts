import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createModel } from '../behaviour/index.ts';
import { openStore, type Store } from '../store/index.ts';
import type { RuntimeSettings, RuntimeState } from '../trust/index.ts';
import { CodeMemory, learntHere, withPhase } from './code-memory.ts';

const runtime: RuntimeSettings = {
  startScore: 0.2,
  tauMs: 1000,
  coverageMin: 0.95,
  alarmAt: 1000,
  calmBelow: 20,
  alarmFactor: 0.25,
  violationFactors: { low: 0.9, medium: 0.6, high: 0.2, critical: 0 },
};
const policy = { runtime };
const seen: RuntimeState = { score: 0.5, suspicion: 1, cleanMs: 1000, windows: 3, alarms: 0 };

describe('the memory of code', () => {
  let dir: string;
  let store: Store;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'provost-memory-'));
    store = openStore(join(dir, 'state.sqlite'), { homeId: '0a0b0c' });
  });
  afterEach(() => {
    store[Symbol.dispose]();
    rmSync(dir, { recursive: true });
  });

  it('holds so many digests and no more, and loses none of them', () => {
    const memory = new CodeMemory(store, { heldMax: 4 });
    for (let at = 0; at < 20; at += 1) memory.putRuntime(`sha256:${at}`, { ...seen, cleanMs: at + 1 }, 0);
    expect(memory.heldCount).toBe(4);
    expect(memory.runtimeOf('sha256:0', policy).cleanMs).toBe(1);
    expect(memory.heldCount).toBe(4);
  });

  it('keeps a fall at once, and a rise with the next save', () => {
    const memory = new CodeMemory(store);
    const kept = (): unknown => store.trustStates.get({ artifactDigest: 'sha256:a' })?.document ?? null;
    memory.runtimeOf('sha256:a', policy);
    memory.putRuntime('sha256:a', seen, 1);
    expect(kept()).toBeNull();
    memory.putRuntime('sha256:a', { ...seen, score: 0.1 }, 2);
    expect(kept()).toMatchObject({ score: 0.1 });
    memory.putRuntime('sha256:a', { ...seen, score: 0.3 }, 3);
    memory.save(4, { now: true });
    expect(kept()).toMatchObject({ score: 0.3 });
  });

  it('takes a model that cannot be read for none, and one of an older version for what it knows', () => {
    const architecture = 'x64' as const;
    const memory = new CodeMemory(store, { architecture });
    const { runs, forest, ...rest } = createModel(architecture);
    expect([runs.windows, forest.now]).toEqual([0, []]);
    store.models.put({ artifactDigest: 'sha256:old', document: { ...rest, version: 1, windows: 99 }, updatedMs: 1 });
    store.models.put({ artifactDigest: 'sha256:bad', document: { ...rest, version: 9, windows: 99 }, updatedMs: 1 });
    expect(memory.baselineOf('sha256:old', 'runc').model).toMatchObject({ version: 3, windows: 99 });
    expect(memory.baselineOf('sha256:bad', 'runc').model).toEqual(createModel(architecture));
  });

  it('writes nothing for windows in which nothing happened', () => {
    const memory = new CodeMemory(store);
    memory.putRuntime('sha256:a', seen, 1);
    memory.save(2, { now: true });
    memory.putRuntime('sha256:a', { ...seen, windows: 4 }, 3);
    memory.save(4, { now: true });
    expect(store.trustStates.get({ artifactDigest: 'sha256:a' })).toMatchObject({ updatedMs: 2 });
    expect(memory.runtimeOf('sha256:a', policy).windows).toBe(4);
  });

  it('keeps a baseline for each driver, of the calls of this host’s architecture', () => {
    const memory = new CodeMemory(store, { architecture: 'arm64' });
    const learnt = {
      model: { ...memory.baselineOf('sha256:a', 'gvisor').model, windows: 9 },
      origin: learntHere,
      waiting: [],
    };
    expect(learnt.model.architecture).toBe('arm64');
    memory.putBaseline('sha256:a', 'gvisor', learnt);
    memory.save(1, { now: true });
    expect(new CodeMemory(store, { architecture: 'arm64' }).baselineOf('sha256:a', 'gvisor').model.windows).toBe(9);
    expect(new CodeMemory(store, { architecture: 'arm64' }).baselineOf('sha256:a', 'runc').model.windows).toBe(0);
    expect(new CodeMemory(store, { architecture: 'x64' }).baselineOf('sha256:a', 'gvisor').model.windows).toBe(0);
  });

  it('keeps where a baseline came from with it', () => {
    const memory = new CodeMemory(store, { architecture: 'x64' });
    const phase = { startedMs: 1, endedMs: 2, windows: 9, reason: 'a load test', logIndex: 7 };
    const { model } = memory.baselineOf('sha256:a', 'runc');
    const origin = withPhase(learntHere, phase);
    memory.putBaseline('sha256:a', 'runc', { model, origin, waiting: [] });
    memory.save(1, { now: true });
    const again = new CodeMemory(store, { architecture: 'x64' }).baselineOf('sha256:a', 'runc');
    expect([again.origin, again.model]).toEqual([{ imported: null, phases: [phase] }, model]);
    const many = Array.from({ length: 20 }).reduce<typeof origin>((all) => withPhase(all, phase), origin);
    expect(many.phases).toHaveLength(8);
  });
});
