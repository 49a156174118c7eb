// Cleans what a workload chose to be called before anyone reads it.

/** Longest target that is kept; what AuditEvent promises. */
const TARGET_CHARACTERS_MAX = 256;

/** Reads bytes (as latin1) as UTF-8, without control and direction characters, and bounded. */
export function printable(latin1: string): string {
  const text = Buffer.from(latin1, 'latin1').toString('utf8');
  return (
    text
      // oxlint-disable-next-line no-control-regex -- removing them is the point
      .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '')
      .slice(0, TARGET_CHARACTERS_MAX - ' (refused)'.length)
      .toWellFormed()
  );
}
