// A script taken out of a build file, which still knows on which line of the file each of its parts stands.

/** Text with the places of its lines. */
export interface TextScript {
  readonly text: string;
  /** Ascending; each says on which 1-based line of the file the text from an offset on stands. */
  readonly places: readonly { readonly from: number; readonly line: number }[];
}

/** A script all of whose parts are reported at one line. */
export function scriptAt(text: string, line: number): TextScript {
  return { text, places: [{ from: 0, line }] };
}

/** Joins pieces, each with its line, into one script. */
export function scriptOf(pieces: readonly { readonly text: string; readonly line: number }[]): TextScript {
  const places: { from: number; line: number }[] = [];
  let from = 0;
  for (const { text, line } of pieces) {
    places.push({ from, line });
    from += text.length;
  }
  return { text: pieces.map(({ text }) => text).join(''), places };
}

/** The line of the file that holds the character at `offset`. */
export function lineAt({ places }: TextScript, offset: number): number {
  return places[placeAt(places, offset)]?.line ?? 1;
}

/** Index of the last place that begins at or before `offset`. */
function placeAt(places: TextScript['places'], offset: number): number {
  let low = 0;
  let high = places.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((places[middle]?.from ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The part of a script between two offsets. */
export function partOf({ text, places }: TextScript, start: number, end: number): TextScript {
  const inside = places.slice(placeAt(places, start), placeAt(places, end) + 1);
  return {
    text: text.slice(start, end),
    places: inside.map(({ from, line }) => ({ from: Math.max(0, from - start), line })),
  };
}

/** The script without its first `count` characters. */
export function withoutStart(script: TextScript, count: number): TextScript {
  return partOf(script, count, script.text.length);
}
