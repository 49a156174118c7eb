import { closeSync } from 'node:fs';
import koffi from 'koffi';
import { afterEach, describe, expect, it } from 'vitest';
import { needs } from '../../../test/needs.ts';
import { type BpfMap, openMapsOf } from './bpf-map.ts';

const SYS_BPF = process.arch === 'arm64' ? 280 : 321;
const MAP_CREATE = 0;
const HASH = 1;
const PER_CPU_HASH = 5;

const syscall = koffi.load(null).func('long syscall(long number, long command, void *attributes, unsigned long size)');
const descriptors: number[] = [];

/** Makes a map in this process; bpf_attr: type, key size, value size, entries, flags, inner map, node, name. */
function makeMap(name: string, type: number, shape: { readonly keyWords: number; readonly entriesMax: number }): void {
  const attributes = Buffer.alloc(48);
  for (const [index, value] of [type, shape.keyWords * 8, 8, shape.entriesMax].entries())
    attributes.writeUInt32LE(value, index * 4);
  attributes.write(name, 28, 'latin1');
  const descriptor: unknown = syscall(SYS_BPF, MAP_CREATE, attributes, attributes.length);
  if (typeof descriptor !== 'number' || descriptor < 0) throw new Error(`no map: errno ${koffi.errno()}`);
  descriptors.push(descriptor);
}

function open(name: string): BpfMap {
  const maps = openMapsOf(process.pid);
  const map = maps.get(name);
  for (const other of maps.values()) if (other !== map) other[Symbol.dispose]();
  if (map === undefined) throw new Error(`no map ${name} among ${[...maps.keys()].join(', ')}`);
  return map;
}

function entriesOf(map: BpfMap): Map<string, number> {
  const entries = new Map<string, number>();
  const count = map.each((key, value) => entries.set(key.join(','), value));
  expect(count).toBe(entries.size);
  return entries;
}

afterEach(() => {
  for (const descriptor of descriptors.splice(0)) closeSync(descriptor);
});

describe.skipIf(needs('root'))('maps of a process, as root', () => {
  it('are found by name, with their shape', () => {
    makeMap('t_shape', HASH, { keyWords: 2, entriesMax: 7 });
    using map = open('t_shape');
    expect(map).toMatchObject({ name: 't_shape', keyWords: 2, entriesMax: 7 });
    expect(entriesOf(map)).toEqual(new Map());
  });

  it('take, give and lose entries', () => {
    makeMap('t_entries', HASH, { keyWords: 2, entriesMax: 8 });
    using map = open('t_entries');
    map.put([1n, 2n], 3n);
    map.put([2n ** 63n, 2n], 4n);
    map.put([1n, 2n], 5n);
    expect(entriesOf(map)).toEqual(
      new Map([
        ['1,2', 5],
        [`${2n ** 63n},2`, 4],
      ]),
    );
    map.delete([1n, 2n]);
    map.delete([1n, 2n]);
    expect(entriesOf(map)).toEqual(new Map([[`${2n ** 63n},2`, 4]]));
  });

  it('are read whole, however many batches that takes', () => {
    makeMap('t_many', HASH, { keyWords: 1, entriesMax: 5000 });
    using map = open('t_many');
    for (let key = 0n; key < 5000n; key += 1n) map.put([key], key);
    const entries = entriesOf(map);
    expect(entries.size).toBe(5000);
    expect([...entries].every(([key, value]) => Number(key) === value)).toBe(true);
  });

  it('are of no process that has none', () => {
    makeMap('t_mine', PER_CPU_HASH, { keyWords: 1, entriesMax: 1 });
    using map = open('t_mine');
    expect(entriesOf(map).size).toBe(0);
    expect(openMapsOf(process.ppid).get('t_mine')).toBeUndefined();
  });

  it('refuse what does not fit, and what was closed, with SANDBOX_SENSOR', () => {
    makeMap('t_full', HASH, { keyWords: 1, entriesMax: 1 });
    const map = open('t_full');
    map.put([1n], 1n);
    expect(() => map.put([2n], 1n)).toThrow(expect.objectContaining({ code: 'SANDBOX_SENSOR', exit: 6 }));
    map[Symbol.dispose]();
    expect(() => map.each(() => undefined)).toThrow(expect.objectContaining({ code: 'SANDBOX_SENSOR' }));
  });
});
