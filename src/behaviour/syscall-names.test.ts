import { describe, expect, it } from 'vitest';
import { reachingCalls, syscallName, syscallNumbers, UNKNOWN_CALL } from './index.ts';

describe('the names of system calls', () => {
  it.each([
    [0, 'read', 63],
    [59, 'execve', 221],
    [101, 'ptrace', 117],
    [257, 'openat', 56],
    [308, 'setns', 268],
    [425, 'io_uring_setup', 425],
  ])('know %i as %s, and as %i on arm64', (x64, name, arm64) => {
    expect(syscallName(x64, 'x64')).toBe(name);
    expect(syscallName(arm64, 'arm64')).toBe(name);
    expect(syscallNumbers([name], 'x64')).toEqual([x64]);
  });

  it('say so when there is none', () => {
    expect(syscallName(400, 'x64')).toBe('call 400');
    expect(syscallName(UNKNOWN_CALL, 'arm64')).toBe('an unknown call');
    expect(syscallNumbers(['open', 'openat'], 'arm64')).toEqual([56]);
  });

  it('have every call that reaches out, on x86_64', () => {
    expect(reachingCalls.size).toBeGreaterThan(20);
    expect(syscallNumbers([...reachingCalls.keys()], 'x64')).toHaveLength(reachingCalls.size);
  });
});
