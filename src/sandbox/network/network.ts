// The network of one home: a link for each workload, and one table that says what each may do.
import { constants } from 'node:os';

import { exitStatus } from '../../base/index.ts';
import type { LiveGrant } from '../../policy/index.ts';
import { type Network, type NetworkPlan, type NetworkStats, SandboxError } from '../driver.ts';
import { findLinks } from './adoption.ts';
import {
  formatAddress,
  linkName,
  linkPrefix,
  parseSubnet,
  shaperName,
  sizeOf,
  type Subnet,
  tableName,
} from './addresses.ts';
import {
  type Change,
  commit,
  deleteTable,
  type Element,
  hasElement,
  listElements,
  listTables,
  removeFound,
} from './elements.ts';
import { endForwarding, guardForwarding, uplinkMtu } from './forwarding.ts';
import { findLink, listLinks } from './link.ts';
import { netlinkFamily, NetlinkRefusal, type NetlinkSocket, openNetlink } from './netlink.ts';
import { verifyPortsFree } from './ports.ts';
import { QuestionLog } from './question-log.ts';
import { loadRuleset, rulesetOf } from './ruleset.ts';
import { releaseOtherSubnets, reservedSubnet, reserveSubnet } from './subnet.ts';
import { LinkTelemetry } from './telemetry.ts';
import {
  elementsFor,
  makeLink,
  openElement,
  purgeQueue,
  removeLinks,
  shape,
  shapedRate,
  unshape,
  type WorkloadLink,
} from './workload-link.ts';

/** How the network of a home is opened. */
export interface NetworkOptions {
  /** Six lower-case letters or digits: in the name of every link and of the table. */
  readonly homeId: string;
  /** Range for workloads, like `100.70.16.0/20`; chosen free of collisions when not given. Ignored while links of the home exist. */
  readonly subnet?: string;
  /** Called after somebody else removed the table (`nft flush ruleset`) and it was made again. */
  readonly onRepair?: () => void;
}

type Mode = LiveGrant['network'];

/** How long a new link of the host may not let answers to workloads in; a look takes half a millisecond. */
const GUARD_EVERY_MS = 5000;

/**
 * Opens the network of a home: takes over what the kernel has of it, or reserves a range and loads the table. Dispose of it to close it;
 * the links of running workloads stay, and with none left everything is removed.
 *
 * @throws SandboxError SANDBOX_NETWORK
 */
export async function openNetwork(options: NetworkOptions): Promise<Network> {
  const { homeId } = options;
  const table = tableName(homeId);
  const prefix = linkPrefix(homeId);
  const route = openNetlink(netlinkFamily.route);
  const netfilter = openNetlink(netlinkFamily.netfilter);
  let questionLog: QuestionLog | null = null;
  try {
    const isUsed = listLinks(route).some(({ name }) => name.startsWith(prefix));
    const wanted = options.subnet === undefined ? null : parseSubnet(options.subnet);
    const reserved = reservedSubnet(route, homeId);
    const subnet = reserved !== null && (isUsed || wanted === null) ? reserved : reserveSubnet(route, homeId, wanted);
    releaseOtherSubnets(route, homeId, subnet);
    questionLog = new QuestionLog(homeId);
    const network = new HomeNetwork({ ...options, table, subnet, route, netfilter, questionLog });
    await network.take();
    return network;
  } catch (error) {
    route[Symbol.dispose]();
    netfilter[Symbol.dispose]();
    questionLog?.[Symbol.dispose]();
    throw error;
  }
}

interface Parts {
  readonly homeId: string;
  readonly table: string;
  readonly subnet: Subnet;
  readonly route: NetlinkSocket;
  readonly netfilter: NetlinkSocket;
  readonly questionLog: QuestionLog;
  readonly onRepair?: () => void;
}

class HomeNetwork implements Network {
  readonly #parts: Parts;
  readonly #links = new Map<string, WorkloadLink>();
  readonly #telemetry: LinkTelemetry;
  #guarded: readonly Element[] = [];
  #lastOffset = 1;
  #guardedMs = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#telemetry = new LinkTelemetry(parts);
  }

  /** Reads what the kernel has, and loads the table unless it is there with this layout. */
  async take(): Promise<void> {
    const { homeId, subnet, netfilter, table } = this.#parts;
    for (const link of findLinks(this.#parts).links) this.#links.set(link.id, link);
    const comment = listTables(netfilter).get(table);
    if (comment !== undefined) this.#guarded = guardedElements(netfilter, table);
    if (comment !== rulesetOf(homeId, subnet).comment) await this.#load();
    this.#guard();
  }

  async attach(plan: NetworkPlan): Promise<{ readonly address: string; readonly hostLink: string }> {
    const { homeId, route, netfilter, subnet } = this.#parts;
    if (plan.homeId !== homeId || this.#links.has(plan.id)) throw unattachable(plan, homeId);
    verifyPortsFree(netfilter, plan.ports);
    const name = linkName(homeId, plan.id);
    const address = this.#freeAddress();
    const elements = elementsFor(plan, name, address);
    const gateway = subnet.base + 1;
    const order = { name, id: plan.id, pid: plan.pid, address, gateway, mtu: uplinkMtu(route) };
    // The rules first: there is no instant in which a link of ours exists without them.
    await this.#change({ add: elements });
    try {
      const index = makeLink(route, order);
      this.#links.set(plan.id, { id: plan.id, name, index, shaperIndex: null, address, elements, isOpen: false });
      this.#guard();
    } catch (error) {
      removeFound(netfilter, this.#parts.table, elements);
      throw error;
    }
    return { address: formatAddress(address), hostLink: name };
  }

  async setMode(id: string, mode: Mode, rateBitsPerSecond: number | null): Promise<void> {
    const link = this.#existing(id);
    const { route } = this.#parts;
    switch (mode) {
      case 'isolated':
        link.isOpen = false;
        await this.#close(link);
        purgeQueue(route, link);
        return;
      case 'rateLimited':
        if (rateBitsPerSecond === null || !(rateBitsPerSecond > 0)) throw noRate(id, rateBitsPerSecond);
        this.#shape(link, rateBitsPerSecond);
        break;
      case 'unrestricted':
        await unshape(route, link);
        break;
      default:
        mode satisfies never;
    }
    this.#guard();
    link.isOpen = true;
    await this.#change({ add: [openElement(link.name)] });
  }

  async mode(id: string): Promise<{ readonly network: Mode; readonly rateBitsPerSecond: number | null } | null> {
    const { route, netfilter, table } = this.#parts;
    const link = this.#links.get(id);
    if (link === undefined || findLink(route, link.name) === null) return null;
    if (!listTables(netfilter).has(table)) await this.#repair();
    if (!hasElement(netfilter, table, openElement(link.name))) return { network: 'isolated', rateBitsPerSecond: null };
    const rateBitsPerSecond = shapedRate(route, link);
    return { network: rateBitsPerSecond === null ? 'unrestricted' : 'rateLimited', rateBitsPerSecond };
  }

  async stats(): Promise<ReadonlyMap<string, NetworkStats>> {
    const links = [...this.#links.values()];
    this.#guardNowAndThen();
    try {
      return this.#telemetry.read(links);
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
    await this.#repair();
    return this.#telemetry.read(links);
  }

  unpublish(id: string): void {
    const link = this.#links.get(id);
    if (link === undefined) return;
    const published = link.elements.filter(({ data }) => data !== undefined);
    removeFound(this.#parts.netfilter, this.#parts.table, published);
    // From now on the ports are another's: its elements have the same keys, and must survive the end of this link.
    link.elements = link.elements.filter(({ data }) => data === undefined);
  }

  async detach(id: string): Promise<void> {
    const link = this.#links.get(id);
    if (link === undefined) return;
    this.#links.delete(id);
    this.#telemetry.forget(link.name);
    // Without its elements the link is refused everything, before it goes.
    removeFound(this.#parts.netfilter, this.#parts.table, [openElement(link.name), ...link.elements]);
    await removeLinks(link.shaperIndex === null ? [link.name] : [link.name, shaperName(link.name)]);
  }

  async reconcile(live: ReadonlySet<string>): Promise<void> {
    const { links, strayDevices, strayElements } = findLinks(this.#parts);
    removeFound(this.#parts.netfilter, this.#parts.table, strayElements);
    for (const link of links) this.#links.set(link.id, link);
    const known = new Set(links.map(({ id }) => id));
    for (const id of this.#links.keys()) {
      if (!live.has(id) || !known.has(id)) await this.detach(id);
    }
    await removeLinks(strayDevices);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { route, netfilter, questionLog, homeId, table } = this.#parts;
    try {
      const { links, strayDevices } = findLinks(this.#parts);
      if (links.length > 0) return;
      await removeLinks(strayDevices);
      endForwarding(this.#parts, table);
      deleteTable(netfilter, table);
      releaseOtherSubnets(route, homeId, null);
    } finally {
      route[Symbol.dispose]();
      netfilter[Symbol.dispose]();
      questionLog[Symbol.dispose]();
    }
  }

  /** The kernel waits for every CPU when a change fails: what is not there is not removed. */
  async #close({ name }: WorkloadLink): Promise<void> {
    const { netfilter, table } = this.#parts;
    if (hasElement(netfilter, table, openElement(name))) await this.#change({ remove: [openElement(name)] });
    else if (!listTables(netfilter).has(table)) await this.#repair();
  }

  #shape(link: WorkloadLink, rateBitsPerSecond: number): void {
    try {
      shape(this.#parts.route, link, rateBitsPerSecond);
    } catch (error) {
      throw error instanceof NetlinkRefusal ? unshapable(link.id, error) : error;
    }
  }

  /** Changes the table; when somebody removed it, makes it again from what must be true. */
  async #change(change: Change): Promise<void> {
    const { netfilter, table } = this.#parts;
    try {
      commit(netfilter, table, change);
      return;
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
    // An element that is to be removed may be gone already; a table must not be.
    if (listTables(netfilter).has(table)) return removeFound(netfilter, table, change.remove ?? []);
    await this.#repair();
    commit(netfilter, table, { add: change.add ?? [] });
  }

  async #repair(): Promise<void> {
    await this.#load();
    this.#parts.onRepair?.();
  }

  /** Loads the table, and in it everything that the links must have. */
  async #load(): Promise<void> {
    const { homeId, subnet, netfilter, table } = this.#parts;
    await loadRuleset(rulesetOf(homeId, subnet).script);
    const links = [...this.#links.values()];
    const opened = links.filter(({ isOpen }) => isOpen).map(({ name }) => openElement(name));
    commit(netfilter, table, { add: [...this.#guarded, ...links.flatMap(({ elements }) => elements), ...opened] });
  }

  /** A link of the host that came up since must forward answers, too. */
  #guardNowAndThen(): void {
    if (this.#links.size === 0 || performance.now() - this.#guardedMs < GUARD_EVERY_MS) return;
    this.#guard();
  }

  #guard(): void {
    this.#guardedMs = performance.now();
    const { netfilter, table } = this.#parts;
    guardForwarding(this.#parts, table);
    this.#guarded = guardedElements(netfilter, table);
  }

  /** The next free address, not the last freed one: what still answers an ended workload must not reach another. */
  #freeAddress(): number {
    const { base, prefix } = this.#parts.subnet;
    const used = new Set([...this.#links.values()].map(({ address }) => address));
    const RESERVED = 3;
    const count = sizeOf(prefix) - RESERVED;
    for (let tries = 0; tries < count; tries++) {
      this.#lastOffset = 2 + ((this.#lastOffset - 1) % count);
      const address = base + this.#lastOffset;
      if (!used.has(address)) return address;
    }
    throw new SandboxError('SANDBOX_NETWORK', `all ${count} addresses of this home are in use`, {
      exit: exitStatus.unavailable,
      hint: 'Stop workloads that are not needed.',
    });
  }

  #existing(id: string): WorkloadLink {
    const link = this.#links.get(id);
    if (link !== undefined) return link;
    throw new SandboxError('SANDBOX_GONE', `${id} has no network: it was detached, or never attached`, {
      hint: 'See `provost ps` for what runs.',
    });
  }
}

function guardedElements(netfilter: NetlinkSocket, table: string): readonly Element[] {
  return listElements(netfilter, table, 'guarded').map(({ set, key }) => ({ set, key }));
}

function isAbsent(error: unknown): boolean {
  return error instanceof NetlinkRefusal && error.errno === constants.errno.ENOENT;
}

function unattachable({ id, homeId }: NetworkPlan, own: string): SandboxError {
  const why = homeId === own ? 'it has a network already' : `it belongs to home ${homeId}, this network to ${own}`;
  return new SandboxError('SANDBOX_NETWORK', `cannot attach ${id}: ${why}`, { hint: 'Detach it first.' });
}

function noRate(id: string, rate: number | null): SandboxError {
  return new SandboxError('SANDBOX_NETWORK', `cannot limit the network of ${id} to a rate of ${rate}`, {
    exit: exitStatus.usage,
    hint: 'Give a rate in bits per second, above 0, in the policy.',
  });
}

function unshapable(id: string, error: NetlinkRefusal): SandboxError {
  return new SandboxError('SANDBOX_NETWORK', `the kernel cannot limit the network of ${id}: ${error.message}`, {
    exit: exitStatus.unavailable,
    hint: 'Load what is missing: modprobe -a ifb sch_tbf sch_ingress cls_u32 act_mirred.',
    cause: error,
  });
}
