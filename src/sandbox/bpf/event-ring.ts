// Reads what BPF programs put into a ring buffer: records in order, without a system call.
import { type Descriptor } from './kernel.ts';
import { mapMemory, pageBytes } from './mapped-memory.ts';

/** A record's head: its length, with two marks, and four bytes that are the kernel's. */
const HEAD_BYTES = 8;
const IS_BEING_WRITTEN = 0x8000_0000;
const IS_DISCARDED = 0x4000_0000;
const LENGTH = 0x3fff_ffff;

/** The reader's end of a ring buffer. */
export interface EventRing extends Disposable {
  /** Calls `visit` for each record that is whole; its bytes are only valid during the call. Returns how many there were. */
  drain(visit: (record: Buffer) => void): number;
}

/**
 * Maps a ring buffer of `bytes`.
 *
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses
 * @source Documentation/bpf/ringbuf.rst
 */
export function openEventRing(map: Descriptor, bytes: number): EventRing {
  const page = pageBytes();
  const consumer = mapMemory(map, { bytes: page, isWritable: true });
  // The data lie there twice in a row, so that a record is never in two pieces.
  const producer = mapMemory(map, { bytes: page + 2 * bytes, offset: page, isWritable: false });
  const read = new BigInt64Array(consumer.memory, 0, 1);
  const written = new BigInt64Array(producer.memory, 0, 1);
  const heads = new Int32Array(producer.memory, page);
  const data = Buffer.from(producer.memory, page);
  let isOpen = true;
  return {
    drain(visit) {
      let count = 0;
      if (!isOpen) return count;
      let at = Number(Atomics.load(read, 0));
      const end = Number(Atomics.load(written, 0));
      while (at < end) {
        const place = at % bytes;
        const head = Atomics.load(heads, place >> 2);
        if ((head & IS_BEING_WRITTEN) !== 0) break;
        const length = head & LENGTH;
        if ((head & IS_DISCARDED) === 0) {
          visit(data.subarray(place + HEAD_BYTES, place + HEAD_BYTES + length));
          count += 1;
        }
        at += Math.ceil((HEAD_BYTES + length) / HEAD_BYTES) * HEAD_BYTES;
        Atomics.store(read, 0, BigInt(at));
      }
      return count;
    },
    [Symbol.dispose]: () => {
      isOpen = false;
      consumer[Symbol.dispose]();
      producer[Symbol.dispose]();
    },
  };
}
