// Texts of strangers in messages: one line, bounded, nothing that steers a terminal or reorders what is read.
import type { z } from 'zod';

/** Faults of one document that its message names. */
const FAULTS_SHOWN = 3;
const FAULT_CHARS_MAX = 300;
const SHOWN_CHARS_MAX = 80;

/** At most `charsMax` characters of a text; control, format and unpaired characters are escaped. */
export function excerptOf(text: string, charsMax: number): string {
  const short = text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
  return short.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

/** A text in quotes, cut to what a message can bear. */
export function shown(text: string): string {
  return `'${excerptOf(text, SHOWN_CHARS_MAX)}'`;
}

/** What a schema found wrong, on one line. Paths hold the document's own keys. */
export function faultsOf({ issues }: z.ZodError): string {
  const faults = issues.slice(0, FAULTS_SHOWN).map(({ message, path }) => {
    const where = path.map((step) => excerptOf(String(step), 40)).join('.');
    return where === '' ? message : `${where}: ${message}`;
  });
  return excerptOf(faults.join('; '), FAULT_CHARS_MAX);
}
