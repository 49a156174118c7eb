// Names asked of the DNS, by the zone that somebody registered: who owns a zone sees every question for a name in it.

/** Second levels below which others register: `co.uk`, `com.au`. A rule of thumb in place of a list that ages. */
const SHARED_SECOND_LEVEL = /^(?:ac|co|com|edu|gov|net|or|org)$/;
const COUNTRY = /^[a-z]{2}$/;
const ZONE_CHARACTERS_MAX = 48;
const ZONE = /^[a-z0-9_.\\-]{1,48}$/;

/** The zone of a name in lower case: its last two labels, or three below a country's shared second level; at most 48 characters of its end. */
export function zoneOf(name: string): string {
  const labels = name.split('.');
  const isShared = COUNTRY.test(labels.at(-1) ?? '') && SHARED_SECOND_LEVEL.test(labels.at(-2) ?? '');
  return labels
    .slice(isShared ? -3 : -2)
    .join('.')
    .slice(-ZONE_CHARACTERS_MAX);
}

/** True for what {@link zoneOf} makes of a name as telemetry writes it. */
export function isZone(text: string): boolean {
  return ZONE.test(text);
}

/** Names by their zone, each name once. */
export function namesByZone(names: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const zones = new Map<string, string[]>();
  for (const name of new Set(names)) {
    const zone = zoneOf(name);
    const known = zones.get(zone);
    if (known === undefined) zones.set(zone, [name]);
    else known.push(name);
  }
  return zones;
}
