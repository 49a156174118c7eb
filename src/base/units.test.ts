// Units: what people write, what programs hold, and the nearest text that is refused.
import { describe, expect, it } from 'vitest';
import { BaseError, formatDuration, formatSize, parseCpu, parseDuration, parseSize } from './index.ts';

const refusal: Error = expect.objectContaining({
  code: 'BASE_UNIT',
  exit: 2,
  hint: expect.stringContaining('Write it') as unknown,
});

describe('a size', () => {
  it.each([
    ['0', 0],
    ['1048576', 1_048_576],
    ['812B', 812],
    ['64m', 67_108_864],
    ['512Mi', 536_870_912],
    ['1GiB', 1_073_741_824],
    ['1.5Gi', 1_610_612_736],
    [' 2 k ', 2048],
    ['1T', 1_099_511_627_776],
  ])('reads %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'Mi', '-1', '1e3', '1X', '1 Mi b', '0x10', '999999999999999T', '1.1234567', 'NaN'])(
    'refuses %j',
    (text) => {
      expect(() => parseSize(text)).toThrow(BaseError);
      expect(() => parseSize(text)).toThrow(refusal);
    },
  );

  it.each([
    [812, '812B'],
    [2048, '2Ki'],
    [1536, '1.5Ki'],
    [268_435_456, '256Mi'],
    [1_610_612_736, '1.5Gi'],
  ])('writes %i bytes', (bytes, text) => {
    expect(formatSize(bytes)).toBe(text);
  });
});

describe('an amount of CPU', () => {
  it.each([
    ['1', 1000],
    ['0.5', 500],
    ['250m', 250],
    ['0.001', 1],
    ['64', 64_000],
  ])('reads %s', (text, millicores) => {
    expect(parseCpu(text)).toBe(millicores);
  });

  it.each(['', '0', '0m', '0.0001', '-1', '1k', '1,5', '1e3', 'all'])('refuses %j', (text) => {
    expect(() => parseCpu(text)).toThrow(refusal);
  });
});

describe('a duration', () => {
  it.each([
    ['90', 90_000],
    ['0.25', 250],
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['1d', 86_400_000],
  ])('reads %s', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', 's', '-1s', '1 h', '1w', '1h30', '1s1s1s1s1s1s', '1e3'])('refuses %j', (text) => {
    expect(() => parseDuration(text)).toThrow(refusal);
  });

  it('reads what it writes', () => {
    for (const ms of [250, 1000, 90_000, 5_400_000, 86_400_000]) expect(parseDuration(formatDuration(ms))).toBe(ms);
  });
});
