// The three programs of the sensor: every call as it returns, every program that is started, every thread that ends.
import { gramHash } from '../../behaviour/index.ts';
import { Assembler } from './assembler.ts';
import { endProgram, readText, reserveEvent, spendAllowance, submitEvent } from './event-parts.ts';
import {
  at,
  countCall,
  countGram,
  findGroup,
  findSymbol,
  findThread,
  helper,
  type ProgramHost,
  stack,
} from './program-parts.ts';
import * as layout from './sensor-layout.ts';
import { findWatchedFile, openStack } from './watched-open.ts';

const { attention, event, watchLevel } = layout;

/** CLONE_NEWNS, …CGROUP, …UTS, …IPC, …USER, …PID, …NET. */
const NAMESPACE_FLAGS = 0x7e02_0000;
const EPERM = 1;
const EACCES = 13;
const AF_UNIX = 1;
const AF_INET = 2;
const AF_INET6 = 10;
/** struct sockaddr_un with its longest path. */
const ADDRESS_BYTES_MAX = 110;

const TEXT = { textAt: event.text, bytesAt: event.textBytes };
const NAME = { textAt: event.name, bytesAt: event.nameBytes };

/**
 * The program at `sys_exit`. Calls are seen as they return because one that seccomp refuses never begins, and because
 * each tracepoint that is used costs every process of the host; what never returns is seen by {@link threadEndProgram}.
 */
export function callProgram(host: ProgramHost): Buffer {
  const a = new Assembler();
  a.move('r6', 'r1').load('u64', 'r7', ['r6', 0]);
  a.call(helper.task).move('r8', 'r0');
  findGroup(a, host);
  a.call(helper.processor);
  findSymbol(a, host, ['r6', 8]);
  at(a, 'r2', host.maps.attention).alu('add', 'r2', 'r1').load('u8', 'r3', ['r2', 0]);
  a.store('u64', ['r10', stack.attention], 'r3').store('u64', ['r10', stack.symbol], 'r1');
  a.branch(['r3', '==', attention.fork], 'fork').label('count');
  countCall(a, host);
  countGram(a, host);
  a.load('u64', 'r3', ['r10', stack.attention]).branch(['r3', '!=', attention.none], 'attend').jump('out');
  // The child returns from the call that made it, too; that is not another call.
  a.label('fork').load('u64', 'r2', ['r6', 8]).branch(['r2', '!=', 0], 'count').jump('out');
  a.label('attend');
  attend(a, host);
  report(a, host);
  endProgram(a);
  return a.assemble();
}

/** r3 is what the call asks for. Goes on to `report` when there is something to report. */
function attend(a: Assembler, host: ProgramHost): void {
  a.load('u64', 'r2', ['r10', stack.word]).alu('shift-right', 'r2', layout.LEVEL_SHIFT);
  a.branch(['r3', '==', attention.fork], 'namespaces');
  a.branch(['r3', '>=', attention.open], 'opens');
  a.branch(['r3', '>=', attention.connect], 'address');
  a.branch(['r3', '!=', attention.detailedCall], 'report');
  a.branch(['r2', '<', Number(watchLevel.detailed)], 'out').jump('report');
  attendNamespaces(a, host);
  attendAddress(a, host);
  attendOpen(a, host);
}

function attendNamespaces(a: Assembler, { registers }: ProgramHost): void {
  a.label('namespaces').load('u64', 'r1', ['r10', stack.symbol]);
  a.branch(['r1', '==', registers.clone3], 'clone3').branch(['r1', '!=', registers.clone], 'out');
  a.load('u64', 'r1', ['r7', registers.arguments[0]]).branch(['r1', '&', NAMESPACE_FLAGS], 'report').jump('out');
  // The flags are the first member of struct clone_args.
  a.label('clone3').load('u64', 'r3', ['r7', registers.arguments[0]]);
  a.move('r1', 'r10').alu('add', 'r1', openStack.pointer).move('r2', 8).call(helper.readUser);
  a.load('u64', 'r1', ['r10', openStack.pointer]).branch(['r1', '&', NAMESPACE_FLAGS], 'report').jump('out');
}

/** Sockets of the file system are always reported (an engine's may be among them), others to detailed logs. */
function attendAddress(a: Assembler, { registers }: ProgramHost): void {
  a.label('address').store('u64', ['r10', stack.size], 'r2');
  a.load('u64', 'r3', ['r7', registers.arguments[1]]).store('u64', ['r10', openStack.pointer], 0);
  a.move('r1', 'r10').alu('add', 'r1', openStack.pointer).move('r2', 2).call(helper.readUser);
  a.load('u64', 'r1', ['r10', openStack.pointer]).load('u64', 'r2', ['r10', stack.size]);
  a.load('u64', 'r3', ['r10', stack.attention]).branch(['r3', '==', attention.bind], 'inet');
  a.branch(['r1', '==', AF_UNIX], 'report');
  a.label('inet').branch(['r2', '<', Number(watchLevel.detailed)], 'out');
  a.branch(['r1', '==', AF_INET], 'report').branch(['r1', '==', AF_INET6], 'report').jump('out');
}

/** A refused open is reported by the name that was given, a successful one by the file that it reached. */
function attendOpen(a: Assembler, host: ProgramHost): void {
  a.label('opens').load('u64', 'r1', ['r6', 8]);
  a.branch(['r1', '==', -EPERM], 'report').branch(['r1', '==', -EACCES], 'report');
  a.branch(['r1', 's<', 0], 'out').store('u64', ['r10', stack.size], 'r1');
  // The context is not needed any more but for the result, and its register is.
  findWatchedFile(a, host);
  a.store('u64', ['r10', stack.attention], attention.opened).jump('report-result');
}

function report(a: Assembler, host: ProgramHost): void {
  a.label('report').load('u64', 'r1', ['r6', 8]).store('u64', ['r10', stack.size], 'r1').label('report-result');
  spendAllowance(a, host);
  reserveEvent(a, host);
  a.load('u64', 'r1', ['r10', stack.symbol]).store('u32', ['r9', event.call], 'r1');
  a.load('u64', 'r1', ['r10', stack.size]).store('u64', ['r9', event.result], 'r1');
  for (const [index, offset] of host.registers.arguments.entries()) {
    a.load('u64', 'r1', ['r7', offset]).store('u64', ['r9', event.arguments + 8 * index], 'r1');
  }
  a.load('u64', 'r3', ['r10', stack.attention]);
  a.branch(['r3', '==', attention.callPath0], 'path-0').branch(['r3', '==', attention.open], 'path-0');
  a.branch(['r3', '==', attention.callPath1], 'path-1').branch(['r3', '==', attention.openAt], 'path-1');
  a.branch(['r3', '==', attention.connect], 'socket').branch(['r3', '==', attention.bind], 'socket');
  a.branch(['r3', '==', attention.opened], 'names').label('submit');
  submitEvent(a);
  a.label('path-1').load('u64', 'r3', ['r7', host.registers.arguments[1]]).jump('path');
  a.label('path-0').load('u64', 'r3', ['r7', host.registers.arguments[0]]).label('path');
  readText(a, 'user', TEXT);
  a.jump('submit')
    .label('names')
    .load('u64', 'r3', ['r10', openStack.folder + 8]);
  readText(a, 'kernel', TEXT);
  a.load('u64', 'r3', ['r10', openStack.name + 8]);
  readText(a, 'kernel', NAME);
  a.jump('submit');
  readAddress(a, host);
}

function readAddress(a: Assembler, { registers }: ProgramHost): void {
  const bounded = a.fresh('bounded');
  a.label('socket').load('u64', 'r2', ['r7', registers.arguments[2]]).alu32('move', 'r2', 'r2');
  a.branch(['r2', '<=', ADDRESS_BYTES_MAX], bounded).move('r2', ADDRESS_BYTES_MAX);
  a.label(bounded).branch(['r2', '==', 0], 'submit').store('u64', ['r10', stack.size], 'r2');
  a.move('r1', 'r9').alu('add', 'r1', event.text).load('u64', 'r3', ['r7', registers.arguments[1]]);
  a.call(helper.readUser).branch(['r0', '!=', 0], 'submit');
  a.load('u64', 'r2', ['r10', stack.size]).store('u32', ['r9', event.textBytes], 'r2').jump('submit');
}

/** The program at `sched_process_exec`: its third argument says which file. */
export function execProgram(host: ProgramHost): Buffer {
  const a = new Assembler();
  a.move('r6', 'r1').load('u64', 'r8', ['r6', 0]).load('u64', 'r7', ['r6', 16]);
  findGroup(a, host);
  spendAllowance(a, host);
  reserveEvent(a, host);
  a.store('u32', ['r9', event.call], layout.EXEC_EVENT).store('u64', ['r9', event.result], 0);
  for (let index = 0; index < 4; index += 1) a.store('u64', ['r9', event.arguments + 8 * index], 0);
  a.load('u64', 'r3', ['r7', host.types.offsetOf('linux_binprm', 'filename')]);
  readText(a, 'kernel', TEXT);
  submitEvent(a);
  endProgram(a);
  return a.assemble();
}

/** The program at `sched_process_exit`: counts the one call that does not return, and forgets the thread. */
export function threadEndProgram(host: ProgramHost): Buffer {
  const { registers, maps, types } = host;
  const a = new Assembler();
  a.load('u64', 'r8', ['r1', 0]);
  findGroup(a, host);
  a.move('r1', 'r8').call(helper.registersOf).move('r7', 'r0');
  a.call(helper.processor);
  findSymbol(a, host, null);
  // A thread that was killed has returned from its last call.
  for (const number of registers.exits) a.branch(['r1', '==', number], 'count');
  a.branch(['r1', '!=', gramHash.compatSymbol], 'forget').load('u64', 'r2', ['r7', registers.number]);
  for (const number of registers.compatExits) a.branch(['r2', '==', number], 'count');
  a.jump('forget').label('count');
  countCall(a, host);
  countGram(a, host);
  a.label('forget').load('u32', 'r3', ['r8', types.offsetOf('task_struct', 'pid')]);
  findThread(a, maps);
  a.store('u64', ['r5', 0], 0);
  endProgram(a);
  return a.assemble();
}
