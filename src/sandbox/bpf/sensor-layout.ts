// Where things lie in the maps that the sensor's programs and its reader share.
import { gramHash, UNKNOWN_CALL } from '../../behaviour/index.ts';

/** Buckets of the table of watched groups, by the low bits of a cgroup's id; each has two places. */
export const GROUP_BUCKETS = 4096;
export const GROUP_PLACES = 2;
/** A place: the cgroup's id and a word about it. */
export const PLACE_BYTES = 16;
export const GROUP_BYTES = GROUP_BUCKETS * GROUP_PLACES * PLACE_BYTES;

/** The word about a group: its slot, its place among those whose grams are counted (plus one; 0 for none), and its level. */
export const GRAM_SLOT_SHIFT = 16;
export const LEVEL_SHIFT = 32;
export const SLOT_MASK = 0xffff;
/** What is heard of a group. */
export const watchLevel = { standard: 1n, detailed: 2n } as const;

/** Groups that are watched at once, on a host of few CPUs. */
export const SLOTS_MAX = 256;
/** Of these, so many have their grams counted: 256 KiB each. */
export const GRAM_SLOTS = 64;
/** Counters of a slot on one CPU: the calls, those of the other word size, and room to a whole cache line. */
export const COUNTERS = UNKNOWN_CALL + 9;
export const COUNTER_BYTES = 8;
/** All counters together stay below this. */
export const COUNTER_MEMORY_MAX = 64 * 1024 * 1024;

/** Touched since the last read: one byte for so many buckets. */
export const GRAM_BLOCK = 1024;
export const GRAM_BLOCKS = gramHash.buckets / GRAM_BLOCK;
/** The last two symbols of a thread, by the low bits of its id. */
export const THREADS = 65_536;

/** What a group has spent: tick, events in it, events dropped (8 bytes each), and room. */
export const ALLOWANCE_BYTES = 32;
export const SPENT_OFFSET = 8;
export const DROPPED_OFFSET = 16;
/** Audit events of one group in a tenth of a second; what is beyond is dropped and counted. */
export const EVENTS_PER_TICK = 128;
export const TICK_NS = 100_000_000;

export const RING_BYTES = 1024 * 1024;

/** One audit event. Numbers are 8 bytes but for the pid and the call. */
export const event = {
  bytes: 344,
  time: 0,
  cgroup: 8,
  pid: 16,
  call: 20,
  result: 24,
  comm: 32,
  arguments: 48,
  textBytes: 80,
  nameBytes: 84,
  text: 88,
  name: 216,
  commBytes: 16,
  textMax: 128,
} as const;

/** In place of a call number: a program that was started. */
export const EXEC_EVENT = 0x1_0000;

/** What is done about a call besides counting it, by its number: one byte each. */
export const attention = {
  none: 0,
  /** Returns a second time, as 0, in the child that it made. */
  fork: 1,
  /** Reported with its arguments. */
  call: 2,
  /** Reported with the path that its first or second argument is. */
  callPath0: 3,
  callPath1: 4,
  /** Reported like `call` to detailed logs only. */
  detailedCall: 5,
  connect: 6,
  bind: 7,
  open: 8,
  openAt: 9,
  /** Only within the program: a watched file was opened. */
  opened: 10,
} as const;

/** How many groups a host of so many CPUs can watch. */
export function slotsFor(cpus: number): number {
  return Math.max(32, Math.min(SLOTS_MAX, Math.floor(COUNTER_MEMORY_MAX / (cpus * COUNTERS * COUNTER_BYTES))));
}
