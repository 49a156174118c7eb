// A token bucket on each direction of a workload's link, at the host's end: on the link itself for what it receives, on a
// device that its packets pass on their way in for what it sends.
import { type Attribute, eachAttribute, readAttributes, text, textOf, u32, writeAttributes } from './attributes.ts';
import { type NetlinkMessage, NetlinkRefusal, type NetlinkSocket, requestFlags } from './netlink.ts';

// linux/rtnetlink.h, linux/pkt_sched.h, linux/pkt_cls.h
const RTM = { newQdisc: 36, delQdisc: 37, getQdisc: 38, newFilter: 44 };
const TCA = { kind: 1, options: 2, stats2: 7 };
const TBF = { parameters: 1, rate64: 4, burst: 6 };
const STATS_QUEUE = 3;
const DROPS_OFFSET = 8;
const U32 = { selector: 5, action: 7 };
const ACTION = { kind: 1, options: 2 };
const MIRRED_PARAMETERS = 2;
const ROOT = 0xffff_ffff;
const ROOT_HANDLE = 0x1_0000;
const CLSACT = 0xffff_fff1;
const CLSACT_HANDLE = 0xffff_0000;
const CLSACT_INGRESS = 0xffff_fff2;
const ETHERNET = 1;
const STOLEN = 4;
const REDIRECT_OUT = 1;
const ALL_PROTOCOLS = 0x0300;
const HEADER_BYTES = 20;

/** The bucket holds 20 ms of the rate, so that a short burst passes whole and one second is never more than 2 % over. */
const BURST_SECONDS = 0.02;
/** At least two full frames, or nothing would ever pass. */
const BURST_BYTES_MIN = 2 * 1600;
/** What waits for tokens; beyond 100 ms of the rate a sender is told by loss. */
const QUEUE_SECONDS = 0.1;
const QUEUE_BYTES_MIN = 16 * 1024;
const RATE_MAX = 0xffff_ffff;

/** A token bucket as the kernel has it. */
export interface Bucket {
  readonly link: number;
  readonly rateBitsPerSecond: number;
  /** Packets that found the queue full. */
  readonly drops: number;
}

/** Sets the token bucket of what leaves through link `index`; packets in the queue stay when it had one already. */
export function setBucket(index: number, rateBitsPerSecond: number): NetlinkMessage {
  const rate = Math.max(1, Math.floor(rateBitsPerSecond / 8));
  const burst = Math.max(BURST_BYTES_MIN, Math.floor(rate * BURST_SECONDS));
  const parameters = Buffer.alloc(36);
  parameters[1] = ETHERNET;
  parameters.writeUInt32LE(Math.min(rate, RATE_MAX), 8);
  parameters.writeUInt32LE(Math.max(QUEUE_BYTES_MIN, burst + Math.floor(rate * QUEUE_SECONDS)), 24);
  const options: Attribute[] = [
    [TBF.parameters, parameters],
    [TBF.burst, u32(burst)],
  ];
  if (rate >= RATE_MAX) options.push([TBF.rate64, u64(rate)]);
  return {
    type: RTM.newQdisc,
    flags: requestFlags.create | requestFlags.replace,
    body: traffic({ index, handle: ROOT_HANDLE, parent: ROOT }, [
      [TCA.kind, text('tbf')],
      [TCA.options, options],
    ]),
  };
}

/** Removes the token bucket and what waits in it. */
export function removeBucket(index: number): NetlinkMessage {
  return { type: RTM.delQdisc, body: traffic({ index, handle: 0, parent: ROOT }, []) };
}

/** Sends everything that comes in on link `from` through device `through` first. */
export function redirect(from: number, through: number): readonly NetlinkMessage[] {
  const mirred = Buffer.alloc(28);
  mirred.writeInt32LE(STOLEN, 8);
  mirred.writeInt32LE(REDIRECT_OUT, 20);
  mirred.writeUInt32LE(through, 24);
  const action: Attribute = [
    1,
    [
      [ACTION.kind, text('mirred')],
      [ACTION.options, [[MIRRED_PARAMETERS, mirred]]],
    ],
  ];
  const filter = { index: from, handle: 0, parent: CLSACT_INGRESS, info: ((1 << 16) | ALL_PROTOCOLS) >>> 0 };
  return [
    {
      type: RTM.newQdisc,
      flags: requestFlags.create,
      body: traffic({ index: from, handle: CLSACT_HANDLE, parent: CLSACT }, [[TCA.kind, text('clsact')]]),
    },
    {
      type: RTM.newFilter,
      flags: requestFlags.create | requestFlags.exclusive,
      body: traffic(filter, [
        [TCA.kind, text('u32')],
        [
          TCA.options,
          [
            [U32.selector, anyPacket()],
            [U32.action, [action]],
          ],
        ],
      ]),
    },
  ];
}

/** Ends what {@link redirect} began. */
export function endRedirect(from: number): NetlinkMessage {
  return { type: RTM.delQdisc, body: traffic({ index: from, handle: 0, parent: CLSACT }, []) };
}

/** The token buckets of all links. */
export function listBuckets(socket: NetlinkSocket): readonly Bucket[] {
  const found: Bucket[] = [];
  socket.dump({ type: RTM.getQdisc, body: Buffer.alloc(HEADER_BYTES) }, (body) => {
    const bucket = readBucket(body);
    if (bucket !== null) found.push(bucket);
  });
  return found;
}

/** The token bucket of one link; null when it has none. */
export function findBucket(socket: NetlinkSocket, index: number): Bucket | null {
  try {
    // Without the flag the kernel tells those who watch, not the one who asks.
    return readBucket(
      socket.get({
        type: RTM.getQdisc,
        flags: requestFlags.echo,
        body: traffic({ index, handle: 0, parent: ROOT }, []),
      }),
    );
  } catch (error) {
    if (error instanceof NetlinkRefusal) return null;
    throw error;
  }
}

function readBucket(body: Buffer): Bucket | null {
  const attributes = readAttributes(body.subarray(HEADER_BYTES));
  if (textOf(attributes.get(TCA.kind)) !== 'tbf') return null;
  return {
    link: body.readInt32LE(4),
    rateBitsPerSecond: rateOf(attributes.get(TCA.options)),
    drops: dropsOf(attributes.get(TCA.stats2)),
  };
}

function rateOf(options: Buffer | undefined): number {
  const parts = readAttributes(options ?? Buffer.alloc(0));
  const wide = parts.get(TBF.rate64);
  return 8 * (wide === undefined ? (parts.get(TBF.parameters)?.readUInt32LE(8) ?? 0) : Number(wide.readBigUInt64LE(0)));
}

function dropsOf(stats: Buffer | undefined): number {
  let drops = 0;
  eachAttribute(stats ?? Buffer.alloc(0), (type, value) => {
    if (type === STATS_QUEUE) drops = value.readUInt32LE(DROPS_OFFSET);
  });
  return drops;
}

/** One key whose mask is zero: every packet. */
function anyPacket(): Buffer {
  const TERMINAL = 1;
  const selector = Buffer.alloc(32);
  selector[0] = TERMINAL;
  selector[2] = 1;
  return selector;
}

interface TrafficTarget {
  readonly index: number;
  readonly handle: number;
  readonly parent: number;
  readonly info?: number;
}

function traffic({ index, handle, parent, info = 0 }: TrafficTarget, attributes: readonly Attribute[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(handle, 8);
  header.writeUInt32LE(parent, 12);
  header.writeUInt32LE(info, 16);
  return Buffer.concat([header, writeAttributes(attributes)]);
}

function u64(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(BigInt(value));
  return out;
}
