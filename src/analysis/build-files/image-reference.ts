// How firmly a reference to an image holds: by digest, by a tag that can move, or by nothing.

import { type Note, shown } from './finding.ts';
import type { Expansion } from './variables.ts';

/** `digest` names one image for ever; `floating` is no tag, or latest. */
export type ImageHold = 'digest' | 'tag' | 'floating';

/** Notes how an image is named, when a digest does not hold it. */
export function noteImage(image: Expansion, line: number, note: Note): void {
  const hold = imageHoldOf(image.text);
  // A digest holds whatever the variables before it say.
  if (hold === 'digest') return;
  if (image.unknown !== null)
    note('dockerfile.image-unresolvable', line, `${shown(image.unknown)} has no value in the file`);
  else if (hold === 'floating') note('dockerfile.image-floating', line, `${shown(image.text)} has no tag, or latest`);
  else note('dockerfile.image-tag', line, `${shown(image.text)} has no digest`);
}

/** Says by what a reference is held: `name@sha256:…`, `name:tag`, `name`. */
export function imageHoldOf(reference: string): ImageHold {
  if (/@sha256:[0-9a-f]{64}$|@sha512:[0-9a-f]{128}$/.test(reference)) return 'digest';
  const name = reference.slice(reference.lastIndexOf('/') + 1).replace(/@.*$/, '');
  const tag = name.includes(':') ? name.slice(name.indexOf(':') + 1) : '';
  return tag === '' || tag.toLowerCase() === 'latest' ? 'floating' : 'tag';
}
