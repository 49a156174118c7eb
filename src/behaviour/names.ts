// The names in a window (destinations, programs, files), cut so that a model stays bounded.
import { isZone, zoneOf } from './dns-zones.ts';
import type { Window } from './telemetry.ts';

/** Attacker-controlled names are kept up to this length; two that agree so far count as one. */
const NAME_CHARACTERS_MAX = 80;
const DESTINATION_CHARACTERS_MAX = 48;

/** What a window names, as a model keeps it. */
export interface Names {
  readonly destinations: readonly string[];
  readonly programs: readonly string[];
  readonly files: readonly string[];
  /** Zones of the DNS that names were asked of. */
  readonly zones: readonly string[];
}

/** Names in a window, each once, cut to the length that a model keeps. */
export function namesOf(window: Window): Names {
  const targets = (kind: 'exec' | 'open'): string[] =>
    window.audit.filter((event) => event.kind === kind).map(({ target }) => cut(target, NAME_CHARACTERS_MAX));
  return {
    destinations: unique(window.newDestinations.map((name) => cut(name, DESTINATION_CHARACTERS_MAX))),
    programs: unique(targets('exec')),
    files: unique(targets('open')),
    zones: unique((window.dnsNames ?? []).map(zoneOf).filter(isZone)),
  };
}

/** Never within a surrogate pair: canonical JSON refuses half a character. */
function cut(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).toWellFormed();
}

function unique(names: readonly string[]): readonly string[] {
  return names.length < 2 ? names : [...new Set(names)];
}
