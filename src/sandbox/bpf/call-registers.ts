// Where each architecture keeps a call's number and arguments while the call runs.
import { type CallArchitecture, syscallNumbers } from '../../behaviour/index.ts';
import type { KernelTypes } from './btf.ts';
import type { CallRegisters } from './program-parts.ts';

/** TS_COMPAT of x86, in thread_info.status. */
const X64_COMPAT = 2;
/** TIF_32BIT of arm64, in thread_info.flags. */
const ARM64_COMPAT = 1 << 22;
/** exit and exit_group of 32-bit programs. */
const COMPAT_EXITS = { x64: [1, 252], arm64: [1, 248] } as const;
const WORD = 8;

/** Looks the offsets up. @throws SandboxError SANDBOX_SENSOR when the kernel's types lack one */
export function callRegisters(architecture: CallArchitecture, types: KernelTypes): CallRegisters {
  const register = (name: string): number => types.offsetOf('pt_regs', name);
  const named = (name: string): number => syscallNumbers([name], architecture)[0] ?? -1;
  const calls = {
    exits: [named('exit'), named('exit_group')],
    compatExits: COMPAT_EXITS[architecture],
    clone: named('clone'),
    clone3: named('clone3'),
  } as const;
  if (architecture === 'x64') {
    return {
      ...calls,
      number: register('orig_ax'),
      arguments: [register('di'), register('si'), register('dx'), register('r10')],
      compat: { offset: types.offsetOf('task_struct', 'thread_info.status'), bit: X64_COMPAT },
      restoring: named('rt_sigreturn'),
    };
  }
  const first = register('regs');
  return {
    ...calls,
    number: register('syscallno'),
    // The first register holds the result when a call returns.
    arguments: [register('orig_x0'), first + WORD, first + 2 * WORD, first + 3 * WORD],
    compat: { offset: types.offsetOf('task_struct', 'thread_info.flags'), bit: ARM64_COMPAT },
    restoring: null,
  };
}
