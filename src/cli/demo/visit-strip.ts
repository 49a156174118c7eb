// Visits as a line of characters, one a visit: who answered, or that nobody did.
import type { Output } from '../output.ts';
import type { Visit } from './visitor.ts';

/** Characters before and after the moment that the picture is about: what fits a line. */
const BEFORE = 20;
const AFTER = 60;

export function visitStrip(out: Output, visits: readonly Visit[], aroundMs: number): string {
  const sorted = visits.toSorted((a, b) => a.fromMs - b.fromMs);
  const before = sorted.filter(({ fromMs }) => fromMs < aroundMs).slice(-BEFORE);
  const after = sorted.filter(({ fromMs }) => fromMs >= aroundMs).slice(0, AFTER);
  const paint = ({ revision }: Visit): string => {
    if (revision === null) return out.paint('red', '·');
    return out.paint(revision === 1 ? 'green' : 'yellow', String(revision));
  };
  return [...before.map(paint), out.paint('bold', '!'), ...after.map(paint)].join('');
}
