import { describe, expect, it } from 'vitest';
import { SandboxError } from '../driver.ts';
import { kernelErrnoOf, openKernel } from './syscall.ts';

const kernel = openKernel();

describe('system calls', () => {
  it('are refused with call, errno and what they were about', () => {
    expect(() => kernel.unmount('/nowhere', 0)).toThrow(
      expect.objectContaining({
        code: 'SANDBOX_SYSCALL',
        details: { call: 'umount2', errno: expect.stringMatching(/^(ENOENT|EPERM)$/), subject: '/nowhere' },
      }),
    );
    expect(() => kernel.cloneTree('/nowhere', { recursive: true })).toThrow(/open_tree of \/nowhere/);
    expect(() => kernel.nextData(-1, 0)).toThrow(/lseek of descriptor -1: EBADF/);
    expect(() => kernel.attachMount(-1, '/nowhere')).toThrow(/move_mount of \/nowhere/);
    expect(() => kernel.ioctl(-1, 1, 0)).toThrow(/ioctl of request 0x1: EBADF/);
  });

  it('answer false in the background', async () => {
    expect(await kernel.unmountInBackground('/nowhere', 0)).toBe(false);
  });

  it('name the errno of their errors and of those of Node, and of nothing else', () => {
    expect(kernelErrnoOf(new SandboxError('SANDBOX_SYSCALL', '', { details: { errno: 'EBUSY' } }))).toBe('EBUSY');
    expect(kernelErrnoOf(new SandboxError('SANDBOX_MOUNT', ''))).toBeUndefined();
    expect(kernelErrnoOf(Object.assign(new Error(), { code: 'ENOENT' }))).toBe('ENOENT');
    expect(kernelErrnoOf('EBUSY')).toBeUndefined();
  });
});
