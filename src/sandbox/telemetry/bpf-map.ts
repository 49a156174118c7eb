// BPF maps of another process: finds them by its open files, reads and writes their entries with bpf(2).
import { closeSync, readdirSync, readFileSync } from 'node:fs';
import koffi from 'koffi';
import { errnoOf } from '../../base/index.ts';
import { bpf } from '../bpf/kernel.ts';
import { possibleCpus } from '../bpf/processors.ts';

// Commands of bpf(2), from <linux/bpf.h>.
const MAP_UPDATE = 2;
const MAP_DELETE = 3;
const MAP_FD_BY_ID = 14;
const OBJECT_INFO = 15;
const MAP_LOOKUP_BATCH = 24;

const PER_CPU_HASH = 5;
const ENOENT = 2;
/** Entries of one batch: on two CPUs 32 KiB of keys and values. A bucket with more than this many is refused by the kernel. */
const BATCH_ENTRIES = 1024;
/** Layout of struct bpf_map_info: type, id, key size, value size, entries, flags (4 bytes each), name. */
const INFO_BYTES = 80;
const NAME_OFFSET = 24;
const NAME_BYTES = 16;
const WORD = 8;

/** An open map whose keys are `keyWords` and whose values one 64-bit word (one a CPU, summed, where the map is per CPU). */
export interface BpfMap extends Disposable {
  readonly name: string;
  readonly keyWords: number;
  readonly entriesMax: number;
  put(key: readonly bigint[], value: bigint): void;
  /** Removes an entry; one that is not there is fine. */
  delete(key: readonly bigint[]): void;
  /** Calls `visit` for each entry; the key array is only valid during the call. Returns how many there were. */
  each(visit: (key: BigUint64Array, value: number) => void): number;
}

/**
 * Opens every named map that process `pid` holds, by name. Needs CAP_SYS_ADMIN.
 *
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses
 */
export function openMapsOf(pid: number): Map<string, BpfMap> {
  const maps = new Map<string, BpfMap>();
  const folder = `/proc/${pid}/fdinfo`;
  for (const descriptor of readdirSync(folder)) {
    const id = mapIdOf(`${folder}/${descriptor}`);
    if (id === null) continue;
    const map = openMap(id);
    maps.get(map.name)?.[Symbol.dispose]();
    maps.set(map.name, map);
  }
  return maps;
}

function mapIdOf(path: string): number | null {
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (error) {
    // A descriptor that was closed since the listing is no map.
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  const id = /^map_id:\s*(\d+)$/m.exec(text)?.[1];
  return id === undefined ? null : Number(id);
}

function openMap(id: number): BpfMap {
  const attributes = Buffer.alloc(12);
  attributes.writeUInt32LE(id, 0);
  const descriptor = bpf(MAP_FD_BY_ID, attributes, 'open a map');
  const info = Buffer.alloc(INFO_BYTES);
  const request = Buffer.alloc(16);
  request.writeUInt32LE(descriptor, 0);
  request.writeUInt32LE(INFO_BYTES, 4);
  request.writeBigUInt64LE(koffi.address(info), 8);
  bpf(OBJECT_INFO, request, 'read what a map is');
  const name = info.toString('latin1', NAME_OFFSET, NAME_OFFSET + NAME_BYTES).replace(/\0.*$/s, '');
  const cpus = info.readUInt32LE(0) === PER_CPU_HASH ? possibleCpus() : 1;
  return mapOf({
    descriptor,
    name,
    keyWords: info.readUInt32LE(8) / WORD,
    cpus,
    entriesMax: info.readUInt32LE(16),
  });
}

interface MapParts {
  readonly descriptor: number;
  readonly name: string;
  readonly keyWords: number;
  readonly cpus: number;
  readonly entriesMax: number;
}

function mapOf(parts: MapParts): BpfMap {
  const { descriptor, name, keyWords, entriesMax } = parts;
  return {
    name,
    keyWords,
    entriesMax,
    put(key, value) {
      const words = BigUint64Array.from([...key, value]);
      bpf(MAP_UPDATE, elementRequest(descriptor, words, keyWords), 'write to a map');
    },
    delete(key) {
      const words = BigUint64Array.from(key);
      bpf(MAP_DELETE, elementRequest(descriptor, words, null), 'delete from a map', ENOENT);
    },
    each: (visit) => readBatches(parts, visit),
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

/** bpf_attr of the commands on one element: descriptor, address of the key, address of the value (or none), flags. */
function elementRequest(descriptor: number, words: BigUint64Array, valueIndex: number | null): Buffer {
  const request = Buffer.alloc(32);
  request.writeUInt32LE(descriptor, 0);
  const address = koffi.address(words);
  request.writeBigUInt64LE(address, 8);
  if (valueIndex !== null) request.writeBigUInt64LE(address + BigInt(valueIndex * WORD), 16);
  return request;
}

/** bpf_attr.batch: in, out, keys, values (addresses), count, descriptor, element flags, flags. */
function readBatches(parts: MapParts, visit: (key: BigUint64Array, value: number) => void): number {
  const { descriptor, keyWords, cpus, entriesMax } = parts;
  const keys = new BigUint64Array(BATCH_ENTRIES * keyWords);
  const values = new BigUint64Array(BATCH_ENTRIES * cpus);
  const position = Buffer.alloc(WORD * Math.max(1, keyWords));
  const request = Buffer.alloc(56);
  request.writeBigUInt64LE(koffi.address(position), 8);
  request.writeBigUInt64LE(koffi.address(keys), 16);
  request.writeBigUInt64LE(koffi.address(values), 24);
  request.writeUInt32LE(descriptor, 36);
  let seen = 0;
  // A batch that is not the last holds at least one entry, so a full map takes no more rounds than entries.
  for (let round = 0; round <= entriesMax; round += 1) {
    request.writeUInt32LE(BATCH_ENTRIES, 32);
    const result = bpf(MAP_LOOKUP_BATCH, request, 'read a map', ENOENT);
    const count = request.readUInt32LE(32);
    for (let entry = 0; entry < count; entry += 1) {
      let sum = 0;
      for (let cpu = 0; cpu < cpus; cpu += 1) sum += Number(values[entry * cpus + cpu]);
      visit(keys.subarray(entry * keyWords, (entry + 1) * keyWords), sum);
    }
    seen += count;
    if (result === -ENOENT) break;
    request.writeBigUInt64LE(koffi.address(position), 0);
  }
  return seen;
}
