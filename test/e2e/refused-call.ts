// Forbids itself the call whose number it is given, by seccomp, and makes it once: what a sandbox's filter does to a workload.
import koffi from 'koffi';

const PR_SET_NO_NEW_PRIVS = 38;
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const EPERM = 1;

const refused = Number(process.argv[2]);
const libc = koffi.load(null);
const prctl = libc.func('int prctl(int option, unsigned long a, void *b, unsigned long c, unsigned long d)');
const syscall = libc.func('long syscall(long number, long argument)');

/** struct sock_filter: code, jump if true, jump if false (of 2, 1 and 1 bytes), operand. */
const program = [
  [0x20, 0, 0, 0],
  [0x15, 0, 1, refused],
  [0x06, 0, 0, 0x00050000 | EPERM],
  [0x06, 0, 0, 0x7fff0000],
] as const;
const filter = Buffer.alloc(8 * program.length);
for (const [index, [code, isTrue, isFalse, operand]] of program.entries()) {
  filter.writeUInt16LE(code, index * 8);
  filter.writeUInt8(isTrue, index * 8 + 2);
  filter.writeUInt8(isFalse, index * 8 + 3);
  filter.writeUInt32LE(operand, index * 8 + 4);
}
const header = Buffer.alloc(16);
header.writeUInt16LE(program.length, 0);
header.writeBigUInt64LE(koffi.address(filter), 8);

const results = [
  prctl(PR_SET_NO_NEW_PRIVS, 1, null, 0, 0),
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header, 0, 0),
  syscall(refused, 0),
];
process.exitCode = results.join() === '0,0,-1' ? 0 : 126;
