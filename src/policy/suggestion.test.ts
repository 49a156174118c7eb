import { describe, expect, it } from 'vitest';
import { suggestWord } from './suggestion.ts';

describe('suggestWord', () => {
  it.each([
    ['cpuMx', 'cpuMax'],
    ['MODE', 'mode'],
    ['memroyMax', 'memoryMax'],
  ])('takes %s for %s', (word, meant) => {
    expect(suggestWord(word, ['memoryMax', 'cpuMax', 'mode'])).toBe(meant);
  });

  it('suggests nothing for a word that is like no other, nor for one of absurd length', () => {
    expect(suggestWord('zzzzzzzz', ['cpuMax', 'mode'])).toBeNull();
    expect(suggestWord('x', ['mode'])).toBeNull();
    expect(suggestWord('m'.repeat(65), ['m'.repeat(64)])).toBeNull();
  });
});
