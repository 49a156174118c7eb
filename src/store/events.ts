// The ring of kept events: numbered for ever, bounded in count.
import type { Connection } from './connection.ts';
import type { EventRow } from './rows.ts';

/** Kept events; at about 500 bytes each the ring stays under 10 MB. */
export const EVENTS_KEPT_MAX = 20_000;

/** Events are removed in steps, so that an append seldom pays for it. */
const PRUNE_STEP = 256;

/** Kept events, oldest first. */
export interface EventRing {
  /** Keeps an event and gives its number. */
  append(event: Omit<EventRow, 'seq'>): number;
  /** Events after `afterSeq`, of one workload or of all. */
  list(filter: { readonly afterSeq: number; readonly workload: string | null; readonly limit: number }): EventRow[];
  /** Number of the newest event ever kept; 0 before the first. */
  lastSeq(): number;
}

/** Opens the ring; `keptMax` events stay. */
export function openEventRing(connection: Connection, keptMax: number): EventRing {
  const insert = 'INSERT INTO events (workload, timeMs, document) VALUES (?, ?, ?) RETURNING seq';
  const ofAll = 'SELECT * FROM events WHERE seq > ? ORDER BY seq LIMIT ?';
  const ofOne = 'SELECT * FROM events WHERE seq > ? AND workload = ? ORDER BY seq LIMIT ?';
  return {
    append: (event) =>
      connection.transaction('relaxed', () => {
        const values = [event.workload, event.timeMs, JSON.stringify(event.document ?? null)];
        const seq = Number(connection.all(insert, values)[0]?.['seq']);
        if (seq % PRUNE_STEP === 0) connection.run('DELETE FROM events WHERE seq <= ?', [seq - keptMax], 'relaxed');
        return seq;
      }),
    list: ({ afterSeq, workload, limit }) => {
      const rows =
        workload === null
          ? connection.all(ofAll, [afterSeq, limit])
          : connection.all(ofOne, [afterSeq, workload, limit]);
      return rows.map((row) => ({
        seq: Number(row['seq']),
        workload: String(row['workload']),
        timeMs: Number(row['timeMs']),
        document: JSON.parse(String(row['document'])) as unknown,
      }));
    },
    lastSeq: () => Number(connection.all("SELECT seq FROM sqlite_sequence WHERE name = 'events'", [])[0]?.['seq'] ?? 0),
  };
}
