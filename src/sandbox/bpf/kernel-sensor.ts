// The sensor's maps and programs, loaded and attached: what is counted is read from memory, events from a ring.
import { readFileSync } from 'node:fs';
import { type CallArchitecture, gramHash, UNKNOWN_CALL } from '../../behaviour/index.ts';
import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { attentionTable } from './attention-table.ts';
import { parseBtf } from './btf.ts';
import { callRegisters } from './call-registers.ts';
import { type EventRing, openEventRing } from './event-ring.ts';
import { attachProgram, createMap, type Descriptor, missesOf } from './kernel.ts';
import { mapMemory, type MappedMemory } from './mapped-memory.ts';
import { possibleCpus } from './processors.ts';
import type { ProgramHost } from './program-parts.ts';
import * as layout from './sensor-layout.ts';
import { callProgram, execProgram, threadEndProgram } from './sensor-programs.ts';

const BTF_FILE = '/sys/kernel/btf/vmlinux';

/** The programs, running, and the memory that they write to. */
export interface KernelSensor extends Disposable {
  readonly cpus: number;
  readonly slots: number;
  /** Memory of the maps; not to be touched after this is disposed of. */
  readonly memory: {
    readonly groups: ArrayBuffer;
    readonly counters: ArrayBuffer;
    readonly grams: ArrayBuffer;
    readonly gramMarks: ArrayBuffer;
    readonly allowances: ArrayBuffer;
  };
  readonly events: EventRing;
  /** How often a program was to run while it already did: calls that nobody counted. */
  misses(): number;
}

/**
 * Makes the maps, loads the programs and attaches them. The kernel takes all of it back when this is disposed of or our
 * process ends, however that comes about.
 *
 * @throws SandboxError SANDBOX_SENSOR when the kernel refuses, lacks something or has no description of its types
 */
export function loadKernelSensor(architecture: CallArchitecture): KernelSensor {
  using stack = new DisposableStack();
  const cpus = possibleCpus();
  const slots = layout.slotsFor(cpus);
  const maps = makeMaps(stack, cpus, slots);
  const memory = mapAll(stack, maps, cpus * slots);
  new Uint8Array(memory.attention).set(attentionTable(architecture));
  const types = parseBtf(readTypes());
  const host: ProgramHost = {
    maps: Object.fromEntries(Object.entries(maps).map(([name, map]) => [name, map.number])) as Record<
      keyof typeof maps,
      number
    >,
    types,
    registers: callRegisters(architecture, types),
    cpus,
    slots,
  };
  const programs = (
    [
      ['provost_end', threadEndProgram, 'btf_trace_sched_process_exit'],
      ['provost_exec', execProgram, 'btf_trace_sched_process_exec'],
      // The count comes last: once it counts, everything is attached.
      ['provost_call', callProgram, 'btf_trace_sys_exit'],
    ] as const
  ).map(([name, write, tracepoint]) => {
    const { program, link } = attachProgram({ name, slots: write(host), tracepointType: types.typedefId(tracepoint) });
    stack.use(program);
    stack.use(link);
    return program;
  });
  const events = stack.use(openEventRing(maps.events, layout.RING_BYTES));
  const owned = stack.move();
  return {
    cpus,
    slots,
    memory,
    events,
    misses: () => programs.reduce((sum, program) => sum + missesOf(program), 0),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** Bytes of each map's memory, in whole pages at most 64 KiB large. */
function sizes(counters: number) {
  return {
    groups: layout.GROUP_BYTES,
    counters: counters * layout.COUNTERS * layout.COUNTER_BYTES,
    threads: layout.THREADS * 8,
    grams: layout.GRAM_SLOTS * gramHash.buckets * 4,
    gramMarks: layout.GRAM_SLOTS * layout.GRAM_BLOCKS,
    allowances: layout.SLOTS_MAX * layout.ALLOWANCE_BYTES,
    attention: UNKNOWN_CALL + 2,
  };
}

function makeMaps(stack: DisposableStack, cpus: number, slots: number) {
  const bytes = sizes(cpus * slots);
  const array = (name: keyof typeof bytes): Descriptor =>
    stack.use(createMap({ kind: 'array', name: `provost_${name}`, valueBytes: bytes[name] }));
  return {
    groups: array('groups'),
    counters: array('counters'),
    threads: array('threads'),
    grams: array('grams'),
    gramMarks: array('gramMarks'),
    allowances: array('allowances'),
    attention: array('attention'),
    events: stack.use(createMap({ kind: 'ring', name: 'provost_events', bytes: layout.RING_BYTES })),
  };
}

function mapAll(stack: DisposableStack, maps: ReturnType<typeof makeMaps>, counters: number) {
  const bytes = sizes(counters);
  const view = (name: keyof typeof bytes): ArrayBuffer => {
    const mapped: MappedMemory = stack.use(mapMemory(maps[name], { bytes: bytes[name], isWritable: true }));
    return mapped.memory;
  };
  return {
    groups: view('groups'),
    counters: view('counters'),
    grams: view('grams'),
    gramMarks: view('gramMarks'),
    allowances: view('allowances'),
    attention: view('attention'),
  };
}

function readTypes(): Buffer {
  try {
    return readFileSync(BTF_FILE);
  } catch (error) {
    throw new SandboxError('SANDBOX_SENSOR', `the kernel’s types cannot be read: there is no ${BTF_FILE}`, {
      exit: exitStatus.unavailable,
      hint: 'Run a kernel that was built with CONFIG_DEBUG_INFO_BTF.',
      cause: error,
    });
  }
}
