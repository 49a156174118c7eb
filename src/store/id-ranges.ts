// Ranges of host user ids: each instance gets its own, so that no two workloads share a user on the host.
import { exitStatus } from '../base/index.ts';
import type { Connection } from './connection.ts';
import { StoreError } from './errors.ts';

/** First id that is given out: above the ids of people and of Debian's subordinate ranges for small hosts. */
const FIRST_ID = 1_000_000;

/** Ids in a range: a whole 16-bit user space, as images expect. */
export const ID_RANGE_SIZE = 65_536;

/** Ranges below 2^31, beyond which some programs take ids for negative numbers. */
const RANGES = Math.floor((2 ** 31 - FIRST_ID) / ID_RANGE_SIZE);

/** A prime that spreads neighbouring home ids over the ranges. */
const SPREAD = 7919;

export interface IdRanges {
  /**
   * The first id of the owner's range; a new range when it has none. A range that was released is not given out again before all
   * others were.
   *
   * @throws StoreError STORE_ID_RANGES when all are in use
   */
  allocate(owner: string): number;
  release(owner: string): void;
  list(): { readonly owner: string; readonly first: number }[];
}

/** Opens the ranges of one home. Homes begin at different places, so that they seldom meet on a shared host. */
export function openIdRanges(connection: Connection, homeId: string): IdRanges {
  const start = (Number.parseInt(homeId, 16) * SPREAD) % RANGES;
  const list = (): { owner: string; first: number }[] =>
    connection
      .all('SELECT owner, first FROM idRanges ORDER BY owner', [])
      .map((row) => ({ owner: String(row['owner']), first: Number(row['first']) }));
  return {
    allocate: (owner) => {
      const [own] = connection.all('SELECT first FROM idRanges WHERE owner = ?', [owner]);
      if (own !== undefined) return Number(own['first']);
      return connection.transaction('durable', () => {
        const taken = list();
        const used = new Set(taken.map(({ first }) => first));
        const next = Number(
          connection.all("SELECT value FROM counters WHERE name = 'idRange'", [])[0]?.['value'] ?? start,
        );
        const slot = freeSlot(next, used);
        const first = firstOf(slot);
        connection.run('INSERT INTO idRanges (owner, first) VALUES (?, ?)', [owner, first], 'durable');
        const after = (slot + 1) % RANGES;
        connection.run("INSERT OR REPLACE INTO counters (name, value) VALUES ('idRange', ?)", [after], 'durable');
        return first;
      });
    },
    release: (owner) => {
      connection.run('DELETE FROM idRanges WHERE owner = ?', [owner], 'durable');
    },
    list,
  };
}

function firstOf(slot: number): number {
  return FIRST_ID + slot * ID_RANGE_SIZE;
}

function freeSlot(from: number, used: ReadonlySet<number>): number {
  for (let step = 0; step < RANGES; step += 1) {
    const slot = (from + step) % RANGES;
    if (!used.has(firstOf(slot))) return slot;
  }
  throw new StoreError('STORE_ID_RANGES', `all ${RANGES} ranges of user ids are in use`, {
    exit: exitStatus.unavailable,
    hint: 'Remove instances that have ended.',
  });
}
