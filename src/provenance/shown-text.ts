// Text of strangers in messages of ours: short, and with everything that does not show written out.

const SHOWN_CHARS_MAX = 80;

/** In quotes, cut to what a message can bear, and escaped. */
export function shown(text: string): string {
  return `'${escaped(text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text)}'`;
}

/**
 * Control, format (bidi, zero width) and separator characters, and lone surrogates, as `\u{…}`: on a terminal they would
 * show as something else.
 */
export function escaped(text: string): string {
  return text.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`,
  );
}
