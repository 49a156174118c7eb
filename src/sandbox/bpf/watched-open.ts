// Recognises, in the kernel, a watched file that was opened, by the names that the kernel has of it and its folder.
import { watchedFiles, watchedProcFiles } from '../telemetry/watched-path.ts';
import type { Assembler } from './assembler.ts';
import type { Register } from './instruction.ts';
import { helper, type ProgramHost } from './program-parts.ts';

const PROC_MAGIC = 0x9fa0;
const DESCRIPTOR_MAX = 1_048_576;
const POINTER_BYTES = 8;

/** Places on the stack, below those of program-parts.ts. */
export const openStack = {
  pointer: -64,
  name: -80,
  folder: -96,
  nameHead: -104,
  folderHead: -112,
  superBlock: -120,
  parent: -128,
} as const;

/**
 * r1 is the descriptor, r8 the task. Falls through when its file is a watched one; jumps to `out` otherwise. Then the
 * structs `qstr` of name and folder (hash, length, address) are on the stack.
 */
export function findWatchedFile(a: Assembler, host: ProgramHost): void {
  const { types } = host;
  const nameAt = types.offsetOf('dentry', 'd_name');
  a.branch(['r1', '>', DESCRIPTOR_MAX], 'out');
  a.load('u64', 'r3', ['r8', types.offsetOf('task_struct', 'files')]);
  a.load('u64', 'r3', ['r3', types.offsetOf('files_struct', 'fdt')]);
  a.load('u64', 'r3', ['r3', types.offsetOf('fdtable', 'fd')]);
  a.alu('mul', 'r1', POINTER_BYTES).alu('add', 'r3', 'r1');
  readKernel(a, openStack.pointer, POINTER_BYTES);
  follow(a, openStack.pointer, types.offsetOf('file', 'f_path.dentry'));
  readKernel(a, openStack.pointer, POINTER_BYTES);
  follow(a, openStack.pointer, nameAt);
  readKernel(a, openStack.name, 16);
  follow(a, openStack.pointer, types.offsetOf('dentry', 'd_sb'));
  readKernel(a, openStack.superBlock, POINTER_BYTES);
  follow(a, openStack.pointer, types.offsetOf('dentry', 'd_parent'));
  readKernel(a, openStack.parent, POINTER_BYTES);
  follow(a, openStack.parent, nameAt);
  readKernel(a, openStack.folder, 16);
  follow(a, openStack.name + 8, 0);
  readKernel(a, openStack.nameHead, 8);
  follow(a, openStack.folder + 8, 0);
  readKernel(a, openStack.folderHead, 8);
  compareNames(a, host);
}

/** r3 ← what the stack holds at `from`, plus `offset`. */
function follow(a: Assembler, from: number, offset: number): void {
  a.load('u64', 'r3', ['r10', from]).alu('add', 'r3', offset);
}

/** Reads from the address in r3 to the stack; what cannot be read is 0. */
function readKernel(a: Assembler, to: number, bytes: number): void {
  a.move('r1', 'r10').alu('add', 'r1', to).move('r2', bytes).call(helper.readKernel);
}

function compareNames(a: Assembler, { types }: ProgramHost): void {
  const matched = a.fresh('watched');
  const inProc = a.fresh('in-proc');
  a.load('u64', 'r6', ['r10', openStack.nameHead]).load('u32', 'r2', ['r10', openStack.name + 4]);
  a.load('u64', 'r3', ['r10', openStack.folderHead]).load('u32', 'r4', ['r10', openStack.folder + 4]);
  for (const [folder, name] of watchedFiles) {
    const next = a.fresh('next');
    if (folder !== '') unlessNamed(a, { head: 'r3', length: 'r4' }, folder, next);
    if (name !== '') unlessNamed(a, { head: 'r6', length: 'r2' }, name, next);
    a.jump(matched).label(next);
  }
  for (const name of watchedProcFiles) {
    const next = a.fresh('next');
    unlessNamed(a, { head: 'r6', length: 'r2' }, name, next);
    a.jump(inProc).label(next);
  }
  a.jump('out');
  a.label(inProc);
  follow(a, openStack.superBlock, types.offsetOf('super_block', 's_magic'));
  readKernel(a, openStack.pointer, POINTER_BYTES);
  a.load('u64', 'r1', ['r10', openStack.pointer]).branch(['r1', '!=', PROC_MAGIC], 'out');
  a.label(matched);
}

/** Names are compared by length and first eight bytes, as numbers. Uses r1 and r5. */
function unlessNamed(
  a: Assembler,
  { head, length }: { readonly head: Register; readonly length: Register },
  name: string,
  otherwise: string,
): void {
  const bytes = Buffer.alloc(8);
  bytes.write(name, 'latin1');
  // The bytes behind a short name are pushed out.
  const unused = 64 - 8 * Math.min(8, name.length);
  a.branch([length, '!=', name.length], otherwise);
  a.move('r1', head).alu('shift-left', 'r1', unused);
  a.wide('value', 'r5', BigInt.asUintN(64, bytes.readBigUInt64LE() << BigInt(unused)));
  a.branch(['r1', '!=', 'r5'], otherwise);
}
