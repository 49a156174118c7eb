// What every link of a home did: counters of the links, refused packets of the table, queues that were full, destinations.
import type { NetworkStats } from '../driver.ts';
import { formatAddress, IFNAMSIZ } from './addresses.ts';
import { type CountingSet, type Element, listElements } from './elements.ts';
import { type LinkCounters, listCounters } from './link.ts';
import type { NetlinkSocket } from './netlink.ts';
import type { QuestionLog } from './question-log.ts';
import { listBuckets } from './shaping.ts';
import type { WorkloadLink } from './workload-link.ts';

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [6, 'tcp'],
  [17, 'udp'],
  [132, 'sctp'],
]);
const ADDRESS_AT = IFNAMSIZ;
const PROTOCOL_AT = ADDRESS_AT + 4;
const PORT_AT = PROTOCOL_AT + 4;
/** Destinations given for one workload; more than the kernel lets one enter in the time that the set keeps them. */
const DESTINATIONS_MAX = 8192;
/** Names kept of one workload: more than the kernel hands out in two seconds, which is longer than a window. */
const NAMES_MAX = 1024;
const COUNTING: readonly CountingSet[] = ['begun', 'rebuffed', 'asked'];

interface Sources {
  readonly route: NetlinkSocket;
  readonly netfilter: NetlinkSocket;
  readonly table: string;
  readonly questionLog: QuestionLog;
}

/** What workloads asked of others, by link name. */
type Asks = Readonly<Record<CountingSet, ReadonlyMap<string, number>>>;

/** The names that one workload asked for, as far as they could be read. */
interface ReadNames {
  count: number;
  recent: readonly string[];
  /** Questions counted whose names nobody read; never falls. */
  missed: number;
  /** Questions that were counted before anybody read names. */
  readonly countedBefore: number;
}

/** Reads the counters of a home. What costs by the destination is read only when a packet of a workload has come in since. */
export class LinkTelemetry {
  readonly #sources: Sources;
  /** Drops of token buckets that are gone, and of those that are there as last read, by link name. */
  readonly #queueDrops = new Map<string, { gone: number; last: number }>();
  readonly #names = new Map<string, ReadNames>();
  #packets = -1;
  #asks: Asks = { begun: new Map(), rebuffed: new Map(), asked: new Map() };
  #destinations: ReadonlyMap<string, readonly string[]> = new Map();

  constructor(sources: Sources) {
    this.#sources = sources;
  }

  /**
   * Cumulative counters of each link, from the workload's point of view.
   *
   * @throws NetlinkRefusal ENOENT without the table
   */
  read(links: readonly WorkloadLink[]): ReadonlyMap<string, NetworkStats> {
    const { route, netfilter, table } = this.#sources;
    const counters = listCounters(route);
    const refused = countsOf(netfilter, table, 'refused');
    this.#readAsks(links, counters);
    const full = this.#readQueues(links);
    const found = new Map<string, NetworkStats>();
    for (const { id, name, index } of links) {
      const seen = counters.get(index);
      if (seen === undefined) continue;
      found.set(id, {
        rxBytes: seen.txBytes,
        txBytes: seen.rxBytes,
        rxPackets: seen.txPackets,
        txPackets: seen.rxPackets,
        droppedPackets: (refused.get(name) ?? 0) + (full.get(name) ?? 0),
        destinations: this.#destinations.get(name) ?? [],
        begunFlows: this.#asks.begun.get(name) ?? 0,
        rebuffedFlows: this.#asks.rebuffed.get(name) ?? 0,
        questions: this.#asks.asked.get(name) ?? 0,
        questionsRead: this.#names.get(name)?.count ?? 0,
        questionsMissed: this.#names.get(name)?.missed ?? 0,
        recentNames: this.#names.get(name)?.recent ?? [],
      });
    }
    return found;
  }

  forget(name: string): void {
    this.#queueDrops.delete(name);
    this.#names.delete(name);
  }

  /** Nothing was asked of anybody, and nobody refused anything, unless a packet went one way or the other. */
  #readAsks(links: readonly WorkloadLink[], counters: ReadonlyMap<number, LinkCounters>): void {
    const count = ({ index }: WorkloadLink): number => {
      const seen = counters.get(index);
      return (seen?.rxPackets ?? 0) + (seen?.txPackets ?? 0);
    };
    const packets = links.reduce((sum, link) => sum + count(link), 0);
    if (packets === this.#packets) return;
    this.#packets = packets;
    this.#readDestinations();
    const { netfilter, table } = this.#sources;
    const [begun, rebuffed, asked] = COUNTING.map((set) => countsOf(netfilter, table, set));
    this.#asks = { begun: begun ?? new Map(), rebuffed: rebuffed ?? new Map(), asked: asked ?? new Map() };
    // After the counters: a question that comes in between is read early rather than missed.
    this.#readNames(links);
  }

  #readNames(links: readonly WorkloadLink[]): void {
    const arrived = new Map<number, string[]>();
    this.#sources.questionLog.take((link, name) => {
      const names = arrived.get(link) ?? [];
      names.push(name);
      arrived.set(link, names);
    });
    for (const { name, index } of links) {
      const names = arrived.get(index) ?? [];
      const asked = this.#asks.asked.get(name) ?? 0;
      const known = this.#names.get(name) ?? { count: 0, recent: [], missed: 0, countedBefore: asked - names.length };
      known.count += names.length;
      if (names.length > 0) known.recent = [...known.recent, ...names].slice(-NAMES_MAX);
      known.missed = Math.max(known.missed, asked - known.countedBefore - known.count);
      this.#names.set(name, known);
    }
  }

  #readDestinations(): void {
    const found = new Map<string, string[]>();
    const { netfilter, table } = this.#sources;
    for (const set of ['seen', 'seen_other'] as const) {
      for (const element of listElements(netfilter, table, set)) note(found, element);
    }
    this.#destinations = found;
  }

  /** A bucket that is replaced begins at 0 again: what the old one dropped stays counted. */
  #readQueues(links: readonly WorkloadLink[]): ReadonlyMap<string, number> {
    const isShaped = links.some(({ shaperIndex }) => shaperIndex !== null);
    const buckets = isShaped ? listBuckets(this.#sources.route) : [];
    const drops = new Map(buckets.map((bucket) => [bucket.link, bucket.drops]));
    const found = new Map<string, number>();
    for (const { name, index, shaperIndex } of links) {
      const now = (drops.get(index) ?? 0) + (shaperIndex === null ? 0 : (drops.get(shaperIndex) ?? 0));
      const known = this.#queueDrops.get(name) ?? { gone: 0, last: 0 };
      const gone = now < known.last ? known.gone + known.last : known.gone;
      if (now > 0 || gone > 0) this.#queueDrops.set(name, { gone, last: now });
      found.set(name, gone + now);
    }
    return found;
  }
}

function note(found: Map<string, string[]>, { set, key }: Element): void {
  const name = linkOf(key);
  const known = found.get(name) ?? [];
  if (known.length >= DESTINATIONS_MAX) return;
  const protocol = key[PROTOCOL_AT] ?? 0;
  const port = set === 'seen' ? key.readUInt16BE(PORT_AT) : 0;
  known.push(`${formatAddress(key.readUInt32BE(ADDRESS_AT))}:${port}/${PROTOCOL_NAMES.get(protocol) ?? protocol}`);
  found.set(name, known);
}

function countsOf(netfilter: NetlinkSocket, table: string, set: CountingSet | 'refused'): ReadonlyMap<string, number> {
  return new Map(listElements(netfilter, table, set).map(({ key, packets }) => [linkOf(key), packets]));
}

function linkOf(key: Buffer): string {
  return key.toString('latin1', 0, IFNAMSIZ).replace(/\0+$/, '');
}
