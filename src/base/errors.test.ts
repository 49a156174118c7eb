// Errors, invariants, bytes and clocks: the small things that every room relies on.
import { describe, expect, it } from 'vitest';
import {
  BaseError,
  errnoOf,
  exitStatus,
  invariant,
  InvariantError,
  isSameBytes,
  messageOf,
  rfc3339,
  sha256Hex,
  systemClock,
} from './index.ts';

describe('an error', () => {
  it('carries code, exit, hint, details and cause', () => {
    const cause = new Error('below');
    const error = new BaseError('BASE_UNIT', 'what and why', {
      exit: exitStatus.usage,
      hint: 'Do this.',
      details: { a: 1 },
      cause,
    });
    expect(error).toMatchObject({
      name: 'BaseError',
      code: 'BASE_UNIT',
      exit: 2,
      hint: 'Do this.',
      details: { a: 1 },
      cause,
    });
  });

  it('is an internal one unless it says otherwise', () => {
    const error = new BaseError('BASE_DEPTH', 'what');
    expect(error).toMatchObject({ exit: 1, hint: undefined, details: {} });
    expect(Object.hasOwn(error, 'cause')).toBe(false);
  });

  it('is asked for its errno and its message, whatever was thrown', () => {
    expect([errnoOf({ code: 'ENOENT' }), errnoOf({ code: 2 }), errnoOf(null), errnoOf('x')]).toEqual([
      'ENOENT',
      undefined,
      undefined,
      undefined,
    ]);
    expect([messageOf(new Error('a')), messageOf('b'), messageOf(undefined)]).toEqual(['a', 'b', 'undefined']);
  });
});

describe('an invariant', () => {
  it('throws when it is broken, and only then', () => {
    expect(() => invariant(true, 'holds')).not.toThrow();
    expect(() => invariant(0, 'broken')).toThrow(InvariantError);
  });
});

describe('bytes', () => {
  it('have the digests of FIPS 180', () => {
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256Hex(Buffer.alloc(0))).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it('are compared by value and length', () => {
    expect(isSameBytes(Buffer.from('ab'), Buffer.from('ab'))).toBe(true);
    expect(isSameBytes(Buffer.from('ab'), Buffer.from('abc'))).toBe(false);
    expect(isSameBytes(Buffer.from('ab'), Buffer.from('ac'))).toBe(false);
  });
});

describe('time', () => {
  it('is written in UTC with milliseconds', () => {
    expect(rfc3339(0)).toBe('1970-01-01T00:00:00.000Z');
    expect(rfc3339(1_795_497_825_123)).toBe('2026-11-24T05:23:45.123Z');
  });

  it('comes from the clocks of the host, of which one never goes back', () => {
    const first = systemClock.monotonicMs();
    expect(systemClock.monotonicMs()).toBeGreaterThanOrEqual(first);
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(1000);
  });
});
