import { describe, expect, it } from 'vitest';
import { mountPointsUnder, parseMountTable, readMountTable } from './mount-table.ts';

describe('the mount table', () => {
  it('reads a line with optional fields, and undoes the octal of spaces', () => {
    const line = '36 35 98:0 /mnt1 /mnt\\0402\\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue';
    expect(parseMountTable(`${line}\n`)).toEqual([
      { root: '/mnt1', mountPoint: '/mnt 2\\x', type: 'ext3', source: '/dev/root', options: ['rw', 'errors=continue'] },
    ]);
  });

  it('leaves out lines of another shape', () => {
    expect(parseMountTable('36 35 98:0 /mnt1\n\nx - y')).toEqual([]);
  });

  it('shows the mounts of this process, and of those below a folder the last made first', () => {
    expect(readMountTable().some(({ mountPoint, type }) => mountPoint === '/proc' && type === 'proc')).toBe(true);
    expect(mountPointsUnder('/proc').at(-1)).toBe('/proc');
    expect(mountPointsUnder('/pro')).toEqual([]);
  });
});
