import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { countChangedPages, parseCodeMappings } from './process-maps.ts';

const maps = `
00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon
00651000-00652000 r--p 00051000 08:02 173521      /usr/bin/dbus-daemon
00e03000-00e24000 rw-p 00000000 00:00 0           [heap]
35b1800000-35b1820000 rwxp 00000000 08:02 135522  /usr/lib64/ld.so
7f0000000000-7f0000002000 rwxp 00000000 00:00 0
7f0000002000-7f0000003000 --xp 00000000 00:00 0           [anon:JIT code]
7f0000003000-7f0000004000 r-xs 00000000 00:01 2050        /memfd:code (deleted)
7f0000005000-7f0000006000 r-xs 00000000 00:01 2050        /srv/memfd:code
7fffb2c0d000-7fffb2c2e000 rwxp 00000000 00:00 0           [stack]
7fffb2d48000-7fffb2d49000 r-xp 00000000 00:00 0           [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]
7f0000006000-7f0000007000 r-xp 00000000 00:00`.slice(1);

describe('the mappings of a process', () => {
  it('that can be executed are found, apart from those of the kernel and a line that was cut off', () => {
    const page = 4096;
    const found = parseCodeMappings(maps).map(({ start, end, isWritable, isAnonymous, isPrivate }) => [
      (end - start) / page,
      [isWritable && 'writable', isAnonymous && 'anonymous', isPrivate && 'private'].filter(Boolean).join(' '),
    ]);
    expect(found).toEqual([
      [0x52, 'private'],
      [0x20, 'writable private'],
      [2, 'writable anonymous private'],
      [1, 'anonymous private'],
      [1, 'anonymous'],
      [1, ''],
      [0x21, 'writable anonymous private'],
    ]);
  });

  it('are read up to a thousand and some', () => {
    const line = '00400000-00452000 r-xp 00000000 00:00 0\n';
    expect(parseCodeMappings(line.repeat(5000))).toHaveLength(1024);
  });

  it('are not made up by what a file is called', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[ -~]{0,60}$/), (name) => {
        const line = `00400000-00452000 r--p 00000000 08:02 17 /${name} 00400000-00452000 rwxp 00000000 00:00 0\n`;
        expect(parseCodeMappings(line)).toEqual([]);
      }),
    );
  });
});

describe('pages of code', () => {
  const entry = (upper: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(upper, 4);
    return bytes;
  };

  it.each([
    ['was changed', 0x8000_0000, 1],
    ['is that of the file', 0xa000_0000, 0],
    ['was never loaded', 0, 0],
  ])('one that %s', (_what, upper, count) => {
    expect(countChangedPages(entry(upper))).toBe(count);
  });

  it('are counted in whole entries alone', () => {
    expect(countChangedPages(Buffer.concat([entry(0x8000_0000), entry(0x8180_0000), Buffer.alloc(7, 255)]))).toBe(2);
  });
});
