// How the sensor's programs report an event: within what its group may, with who did it, and the text that belongs to it.
import type { Assembler } from './assembler.ts';
import { at, helper, type ProgramHost, stack } from './program-parts.ts';
import * as layout from './sensor-layout.ts';

/** The reader looks by itself; waking it would cost an interrupt. */
const NO_WAKEUP = 1;

/** Jumps to `out` when the group has spent what it may in this tenth of a second. Uses r0 to r5. */
export function spendAllowance(a: Assembler, { maps, slots }: ProgramHost): void {
  const [same, granted] = [a.fresh('same-tick'), a.fresh('granted')];
  a.call(helper.nanoseconds).store('u64', ['r10', stack.time], 'r0');
  a.alu('div', 'r0', layout.TICK_NS);
  a.load('u64', 'r2', ['r10', stack.word]).alu('and', 'r2', layout.SLOT_MASK).branch(['r2', '>=', slots], 'out');
  a.alu('mul', 'r2', layout.ALLOWANCE_BYTES);
  at(a, 'r1', maps.allowances).alu('add', 'r1', 'r2').store('u64', ['r10', stack.allowance], 'r1');
  a.load('u64', 'r2', ['r1', 0]).branch(['r2', '==', 'r0'], same);
  // Two CPUs may both begin a tick; then a few events more are let through, never fewer.
  a.store('u64', ['r1', 0], 'r0').store('u64', ['r1', layout.SPENT_OFFSET], 0);
  a.label(same).load('u64', 'r2', ['r1', layout.SPENT_OFFSET]).move('r3', 1);
  a.branch(['r2', '<', layout.EVENTS_PER_TICK], granted);
  a.atomicAdd('u64', ['r1', layout.DROPPED_OFFSET], 'r3').jump('out');
  a.label(granted).atomicAdd('u64', ['r1', layout.SPENT_OFFSET], 'r3');
}

/** r9 becomes a record, filled but for result, arguments and text. Jumps to `out` when the ring has no room, and counts that. r8 is the task. */
export function reserveEvent(a: Assembler, { maps, types }: ProgramHost): void {
  const reserved = a.fresh('reserved');
  a.wide('map', 'r1', BigInt(maps.events)).move('r2', layout.event.bytes).move('r3', 0).call(helper.reserve);
  a.branch(['r0', '!=', 0], reserved);
  a.load('u64', 'r1', ['r10', stack.allowance]).move('r3', 1).atomicAdd('u64', ['r1', layout.DROPPED_OFFSET], 'r3');
  a.jump('out').label(reserved).move('r9', 'r0');
  a.load('u64', 'r1', ['r10', stack.time]).store('u64', ['r9', layout.event.time], 'r1');
  a.load('u64', 'r1', ['r10', stack.group]).store('u64', ['r9', layout.event.cgroup], 'r1');
  a.load('u32', 'r1', ['r8', types.offsetOf('task_struct', 'tgid')]).store('u32', ['r9', layout.event.pid], 'r1');
  a.store('u32', ['r9', layout.event.textBytes], 0).store('u32', ['r9', layout.event.nameBytes], 0);
  a.move('r1', 'r9').alu('add', 'r1', layout.event.comm).move('r2', layout.event.commBytes).call(helper.comm);
}

/** r3 is the address of a text. Puts it into the record (r9); `bytesAt` gets its length with the final 0, or minus an error. */
export function readText(
  a: Assembler,
  source: 'user' | 'kernel',
  to: { readonly textAt: number; readonly bytesAt: number },
): void {
  a.move('r1', 'r9').alu('add', 'r1', to.textAt).move('r2', layout.event.textMax);
  a.call(source === 'user' ? helper.readUserText : helper.readKernelText);
  a.store('u32', ['r9', to.bytesAt], 'r0');
}

/** Hands the record (r9) over and ends the program. */
export function submitEvent(a: Assembler): void {
  a.move('r1', 'r9').move('r2', NO_WAKEUP).call(helper.submit).jump('out');
}

/** The end of every program. */
export function endProgram(a: Assembler): void {
  a.label('out').move('r0', 0).exit();
}
