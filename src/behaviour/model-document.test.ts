import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../base/index.ts';
import { BehaviourError, createModel, modelDigest, parseModel } from './index.ts';

const stored = JSON.parse(canonicalJson(createModel('arm64'))) as Record<string, unknown>;
const { zones, measures, ...second } = { ...stored, version: 2 } as Record<string, unknown>;
const { runs, forest, ...old } = { ...second, version: 1 } as Record<string, unknown>;

describe('a stored model', () => {
  it('is read as it was', () => {
    expect(modelDigest(parseModel(stored))).toBe(modelDigest(createModel('arm64')));
  });

  it('of version 1 is taken over, with nothing known of runs and mixtures', () => {
    const taken = parseModel({ ...old, windows: 77, programs: ['/bin/x'] });
    expect(taken).toMatchObject({ version: 3, windows: 77, programs: ['/bin/x'], runs, forest });
  });

  it('of version 2 is taken over, with nothing known of what is asked of the network and of memory', () => {
    expect(parseModel({ ...second, windows: 77 })).toMatchObject({
      version: 3,
      windows: 77,
      runs,
      forest,
      zones,
      measures,
    });
    expect([zones, measures]).toEqual([[], []]);
  });

  it.each<[string, unknown]>([
    ['more measures than there are', { ...stored, measures: Array.from({ length: 9 }, () => [1, 2, 1]) }],
    ['a measure in half a window', { ...stored, measures: [[0.5, 2, 1]] }],
    ['a measure without its count', { ...stored, measures: [[2, 1]] }],
    ['a zone of other letters', { ...stored, zones: ['A b'] }],
    ['a zone beyond its length', { ...stored, zones: ['x'.repeat(49)] }],
    ['more zones than a model has', { ...stored, zones: Array.from({ length: 49 }, () => 'x') }],
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
