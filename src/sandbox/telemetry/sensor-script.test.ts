import { describe, expect, it } from 'vitest';
import { sensorScript } from './sensor-script.ts';

describe('the sensor’s program', () => {
  it('is the same every time', () => {
    expect(sensorScript('x64')).toBe(sensorScript('x64'));
  });

  it('asks for no call that the architecture does not have', () => {
    expect(sensorScript('x64')).toContain('tracepoint:syscalls:sys_enter_open /');
    expect(sensorScript('arm64')).not.toContain('tracepoint:syscalls:sys_enter_open /');
    expect(sensorScript('arm64')).toContain('tracepoint:syscalls:sys_enter_openat /');
    expect(sensorScript('x64')).toContain('$n == 101 ');
    expect(sensorScript('arm64')).toContain('$n == 117 ');
  });

  it('attaches the count last, so that what counts is whole', () => {
    expect(
      sensorScript('x64')
        .match(/^(BEGIN|tracepoint|interval)[^ {]*/gm)
        ?.at(-1),
    ).toBe('tracepoint:raw_syscalls:sys_enter');
  });
});
