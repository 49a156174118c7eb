import { describe, expect, it } from 'vitest';
import { parseSensorLine } from './audit-line.ts';

const parse = (line: string) => parseSensorLine(line, 1000, 'x64');

/** A line as bpftrace 0.17 writes it: control characters escaped, bytes above 0x7f as eight digits. */
function printed(
  kind: string,
  parts: { readonly comm?: string; readonly target: string; readonly result?: number },
): string {
  const comm = (parts.comm ?? 'app').padEnd(16);
  const text = `${kind} 77 1234 ${parts.result ?? 0} ${comm}${parts.target}`;
  const bytes = Buffer.from(text, 'utf8').toString('latin1');
  const escaped = JSON.stringify(bytes).replace(
    /[\x80-\xff]/g,
    (byte) => `\\uffffff${byte.charCodeAt(0).toString(16)}`,
  );
  return `{"type": "printf", "data": ${escaped}}`;
}

const eventOf = (line: string) => {
  const parsed = parse(line);
  return parsed.kind === 'event' ? parsed.event : null;
};

describe('a line of the sensor', () => {
  it('is an event of one cgroup', () => {
    expect(parse(printed('exec', { target: '/bin/sh' }))).toEqual({
      kind: 'event',
      cgroupId: 77n,
      event: { timeMs: 1000, kind: 'exec', comm: 'app', pid: 1234, target: '/bin/sh' },
    });
  });

  it.each([
    ['a file that was opened', printed('open', { target: 'etc/shadow' }), 'open', '…/etc/shadow'],
    [
      'an open that was refused',
      printed('refused', { target: '/etc/../etc/shadow', result: -13 }),
      'open',
      '/etc/../etc/shadow (refused)',
    ],
    ['a call by its name', printed('call', { target: '101', result: -1 }), 'call', 'ptrace'],
    ['an address, its port turned', printed('connect', { target: '127.0.0.1 20736' }), 'connect', '127.0.0.1:81'],
    ['an address of version 6', printed('connect', { target: '::1 20992' }), 'connect', '[::1]:82'],
    ['a socket by its path', printed('connect', { target: 'unix:/run/x.sock' }), 'connect', 'unix:/run/x.sock'],
    ['a listening port', printed('bind', { target: '0.0.0.0 36895' }), 'bind', '0.0.0.0:8080'],
  ])('names %s', (_what, line, kind, target) => {
    expect(eventOf(line)).toMatchObject({ kind, target });
  });

  it.each([
    ['a refused open of a file that nobody watches', printed('refused', { target: '/root/notes', result: -13 })],
    ['a kind that is not ours', printed('reboot', { target: 'now' })],
    ['a line that was cut', printed('exec', { target: '/bin/sh' }).slice(0, -4)],
    ['the tail of a line', 'sh"}'],
    ['another message', '{"type": "attached_probes", "data": {"probes": 16}}'],
    ['JSON that is no object', '{'],
  ])('is not %s', (_what, line) => {
    expect(parse(line)).toEqual({ kind: 'other' });
  });

  it('tells how many events the kernel lost, at least one', () => {
    expect(parse('{"type": "lost_events", "data": {"events": 12}}')).toEqual({ kind: 'lost', events: 12 });
    expect(parse('{"type": "lost_events", "data": {}}')).toEqual({ kind: 'lost', events: 1 });
  });

  it('cannot be forged by a name: neither fields nor lines nor cgroups', () => {
    const forged = 'x\nexec 78 1 0 init            /sbin/init';
    expect(eventOf(printed('exec', { target: forged }))?.target).toBe('xexec 78 1 0 init            /sbin/init');
    const event = eventOf(printed('exec', { comm: '0 0 a  /bin/true', target: '/bin/evil' }));
    expect(event).toMatchObject({ comm: '0 0 a  /bin/true', target: '/bin/evil' });
  });

  it('keeps letters beyond ASCII, and no control or direction marks', () => {
    expect(eventOf(printed('exec', { target: '/opt/größe/日本' }))?.target).toBe('/opt/größe/日本');
    expect(eventOf(printed('exec', { target: '/a\u001b[31m\u202eb\u0007' }))?.target).toBe('/a[31mb');
    expect(eventOf(printed('exec', { target: String.raw`/a\uffffffc3\b` }))?.target).toBe(String.raw`/a\uffffffc3\b`);
  });

  it('has a target of at most 256 characters', () => {
    expect(
      eventOf(printed('refused', { target: `/${'x'.repeat(400)}/.ssh/id`, result: -13 }))?.target.length,
    ).toBeLessThanOrEqual(256);
  });
});
