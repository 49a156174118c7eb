import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import { BehaviourError, createModel, modelDigest, parseModel } from './index.ts';

const stored = JSON.parse(canonicalJson(createModel('arm64'))) as Record<string, unknown>;
const { runs, forest, ...old } = { ...stored, version: 1 } as Record<string, unknown>;

describe('a stored model', () => {
  it('is read as it was', () => {
    expect(modelDigest(parseModel(stored))).toBe(modelDigest(createModel('arm64')));
  });

  it('of version 1 is taken over, with nothing known of runs and mixtures', () => {
    const taken = parseModel({ ...old, windows: 77, programs: ['/bin/x'] });
    expect(taken).toMatchObject({ version: 3, windows: 77, programs: ['/bin/x'], runs, forest });
  });

  it.each<[string, unknown]>([
    ['nothing', null],
    ['a text', 'model'],
    ['another version', { ...stored, version: 4 }],
    ['a missing part', { ...stored, scores: undefined }],
    ['a part too many', { ...stored, more: 1 }],
    ['another architecture', { ...stored, architecture: 'mips' }],
    ['half a window', { ...stored, windows: 0.5 }],
    ['an amount below 0', { ...stored, peaks: [[-1, 0]] }],
    ['a share above 1', { ...stored, shares: [[0, 2]] }],
    ['a pair of three', { ...stored, peaks: [[1, 2, 3]] }],
    ['calls out of order', { ...stored, calls: [2, 1] }],
    ['a call beyond the last', { ...stored, calls: [512] }],
    ['a name beyond its length', { ...stored, files: ['x'.repeat(81)] }],
    ['more names than a model has', { ...stored, files: Array.from({ length: 49 }, () => 'x') }],
    ['half a character', { ...stored, programs: ['\ud800'] }],
    ['bits of another length', { ...stored, runs: { windows: 0, seen: 'AAAA', again: '' } }],
    ['bits that are not base64', { ...stored, runs: { windows: 0, seen: '%', again: '' } }],
    ['runs without a part', { ...stored, runs: { windows: 0, seen: '' } }],
    ['no runs', { ...stored, runs: null }],
    ['half a forest', { ...stored, forest: { before: [1], now: [] } }],
  ])('is refused for %s', (_why, document) => {
    expect(() => parseModel(document)).toThrow(BehaviourError);
    expect(() => parseModel(document)).toThrow(expect.objectContaining({ code: 'BEHAVIOUR_MODEL', exit: 4 }));
  });
});
