// The mappings of one process as /proc tells them: which of its memory is code, and which of that belongs to no file.

/** One mapping of a process that can be executed. */
export interface CodeMapping {
  readonly start: number;
  readonly end: number;
  readonly isWritable: boolean;
  /** No file holds it: memory, also such as has a name (`/memfd:x`, `[heap]`). */
  readonly isAnonymous: boolean;
  /** Changes stay in this process, so that a page that was changed is no longer the file's. */
  readonly isPrivate: boolean;
}

const LINE = /^([0-9a-f]{1,16})-([0-9a-f]{1,16}) [r-]([w-])x([ps]) [0-9a-f]+ [0-9a-f]+:[0-9a-f]+ (\d+) *(.*)$/;
/** Where the letter for executable stands, behind the space after the addresses. */
const EXECUTABLE_AT = 3;
/** Of one process; a program with a compiler inside has some hundreds. */
export const CODE_MAPPINGS_MAX = 1024;
/** Code that the kernel itself maps into every process. */
const KERNEL_MAPPINGS: ReadonlySet<string> = new Set(['[vdso]', '[vsyscall]', '[uprobes]']);
/** Files that exist in memory alone. What a workload calls a file of its own in this way counts as such too. */
const MEMORY_FILES = /^\/(?:memfd:|dev\/zero(?: |$)|SYSV)/;

/** Reads the first executable mappings, up to {@link CODE_MAPPINGS_MAX}, out of the text of `/proc/<pid>/maps`. A last line that was cut off is left out. */
export function parseCodeMappings(text: string): readonly CodeMapping[] {
  const found: CodeMapping[] = [];
  for (const line of text.split('\n')) {
    // Most lines are of no interest, and some processes have very many.
    if (line[line.indexOf(' ') + EXECUTABLE_AT] !== 'x') continue;
    const mapping = parseLine(line);
    if (mapping !== null) found.push(mapping);
    if (found.length === CODE_MAPPINGS_MAX) break;
  }
  return found;
}

function parseLine(line: string): CodeMapping | null {
  const [, start, end, write, sharing, inode, name = ''] = LINE.exec(line) ?? [];
  if (start === undefined || end === undefined || KERNEL_MAPPINGS.has(name)) return null;
  return {
    start: Number.parseInt(start, 16),
    end: Number.parseInt(end, 16),
    isWritable: write === 'w',
    isAnonymous: inode === '0' || MEMORY_FILES.test(name),
    isPrivate: sharing === 'p',
  };
}

const ENTRY_BYTES = 8;
/** In the upper half of an entry: in memory; and a page of a file or of shared memory. */
const PRESENT = 1 << 31;
const OF_FILE = 1 << 29;

/**
 * Counts pages that the process changed, in entries of `/proc/<pid>/pagemap` of a private mapping of a file.
 *
 * @source Linux, Documentation/admin-guide/mm/pagemap.rst: bits 63 and 61
 */
export function countChangedPages(entries: Buffer): number {
  let changed = 0;
  for (let at = 0; at + ENTRY_BYTES <= entries.length; at += ENTRY_BYTES) {
    const upper = entries.readInt32LE(at + 4);
    if ((upper & PRESENT) !== 0 && (upper & OF_FILE) === 0) changed += 1;
  }
  return changed;
}
