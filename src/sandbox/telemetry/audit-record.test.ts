import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { syscallNumbers } from '../../behaviour/index.ts';
import { attentionTable } from '../bpf/attention-table.ts';
import { event as at, EXEC_EVENT } from '../bpf/sensor-layout.ts';
import { parseAuditRecord, type RecordReader } from './audit-record.ts';

const reader: RecordReader = { architecture: 'x64', attention: attentionTable('x64'), bootMs: 1000 };
const number = (name: string): number => syscallNumbers([name], 'x64')[0] ?? Number.NaN;

interface Parts {
  readonly result?: bigint;
  readonly text?: Buffer;
  readonly textBytes?: number;
  readonly name?: string;
  readonly comm?: string;
}

/** A record as the kernel's program writes it; what it does not write is rubbish of older records. */
function recordOf(call: string | number, { result = 0n, text, textBytes, name, comm = 'cat' }: Parts = {}): Buffer {
  const record = Buffer.alloc(at.bytes, 0x41);
  record.writeBigUInt64LE(5_000_000n, at.time);
  record.writeBigUInt64LE(77n, at.cgroup);
  record.writeUInt32LE(42, at.pid);
  record.writeUInt32LE(typeof call === 'number' ? call : number(call), at.call);
  record.writeBigInt64LE(result, at.result);
  record.fill(0, at.comm, at.comm + at.commBytes).write(comm, at.comm, 'latin1');
  record.fill(0, at.arguments, at.textBytes);
  record.writeInt32LE(textBytes ?? text?.length ?? 0, at.textBytes);
  record.writeInt32LE(name === undefined ? 0 : name.length + 1, at.nameBytes);
  text?.copy(record, at.text);
  record.write(name ?? '', at.name, 'latin1');
  return record;
}

const path = (text: string): Buffer => Buffer.from(`${text}\0`);
const targetOf = (record: Buffer): string | undefined => parseAuditRecord(record, reader)?.event.target;

describe('a record of the sensor', () => {
  it('says who did what, when and in which group', () => {
    expect(parseAuditRecord(recordOf(EXEC_EVENT, { text: path('/bin/é') }), reader)).toEqual({
      cgroupId: 77n,
      event: { timeMs: 1005, kind: 'exec', comm: 'cat', pid: 42, target: '/bin/é' },
    });
  });

  it('names a watched file by folder and name, and a refused one as it was asked for', () => {
    expect(targetOf(recordOf('openat', { result: 3n, text: path('etc'), name: 'shadow' }))).toBe('…/etc/shadow');
    expect(targetOf(recordOf('open', { result: -13n, text: path('/etc/shadow') }))).toBe('/etc/shadow (refused)');
    expect(parseAuditRecord(recordOf('openat', { result: -13n, text: path('/etc/passwd') }), reader)).toBeNull();
  });

  it('writes addresses as people do', () => {
    const inet = Buffer.from('020001bb0a0102030000000000000000', 'hex');
    const inet6 = Buffer.from(`0a00000900000000${'1'.padStart(32, '0')}00000000`, 'hex');
    expect(targetOf(recordOf('connect', { text: inet }))).toBe('10.1.2.3:443');
    expect(targetOf(recordOf('bind', { text: inet6 }))).toBe('[::1]:9');
    expect(targetOf(recordOf('connect', { text: Buffer.from('\x01\0/run/docker.sock\0rest') }))).toBe(
      'unix:/run/docker.sock',
    );
    expect(targetOf(recordOf('connect', { text: Buffer.from('\x01\0\0abstract') }))).toBe('unix:abstract');
    expect(targetOf(recordOf('connect', { text: inet.subarray(0, 5) }))).toBe('an unreadable address');
    expect(targetOf(recordOf('connect'))).toBe('an unreadable address');
  });

  it('gives a call’s arguments, result and path', () => {
    const record = recordOf('mount', { result: -1n, text: path('/proc') });
    record.writeBigUInt64LE(0xffff_ffff_ffff_ffffn, at.arguments + 24);
    expect(parseAuditRecord(record, reader)?.event).toMatchObject({
      kind: 'call',
      target: 'mount',
      detail: '0x0 0x0 0x0 0xffffffffffffffff = -1 /proc',
    });
  });

  it('has no text where an address could not be read, and none that a workload made up to look like another', () => {
    expect(targetOf(recordOf(EXEC_EVENT, { text: path('/bin/true'), textBytes: -14 }))).toBe('');
    expect(targetOf(recordOf(EXEC_EVENT, { text: path('/bin/true'), textBytes: 4000 }))).toBe('');
    const sly = recordOf(EXEC_EVENT, { text: path('a\n\u202eb\u0007'), comm: 'x\ny' });
    expect(parseAuditRecord(sly, reader)?.event).toMatchObject({ target: 'ab', comm: 'xy' });
  });

  it('is never misread, whatever its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: at.bytes - 4, maxLength: at.bytes }), (bytes) => {
        const record = parseAuditRecord(Buffer.from(bytes), reader);
        if (bytes.length < at.bytes) expect(record).toBeNull();
        expect(record?.event.target.length ?? 0).toBeLessThanOrEqual(256);
        expect(record?.event.detail?.length ?? 0).toBeLessThanOrEqual(256);
      }),
    );
  });
});
