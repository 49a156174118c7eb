// Forwarding where workloads need it and nowhere else. A workload's own link forwards by itself; answers come in on the host's
// links, which therefore must forward too. Where the operator has not turned that on (net.ipv4.ip_forward), it is turned on link by
// link, and the table lets nobody but workloads profit from it.
import { readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';

import { errnoOf, exitStatus, messageOf } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { commit, hasElement, ignoring, linkKey, listElements, listTables } from './elements.ts';
import { listLinks, listRoutes } from './link.ts';
import type { NetlinkSocket } from './netlink.ts';

const SETTINGS = '/proc/sys/net/ipv4';
const LINK_NAME = /^[^/\s]{1,15}$/;
const LOOPBACK = 'lo';
/** Links of any home's workloads forward by their own setting. */
const WORKLOAD_LINKS = /^p[vi][a-z0-9]{6}/;

interface Sockets {
  readonly route: NetlinkSocket;
  readonly netfilter: NetlinkSocket;
}

/** True when the operator lets this host forward on every link. */
export function isForwardingHost(): boolean {
  return readFileSync(`${SETTINGS}/ip_forward`, 'utf8').trim() === '1';
}

/**
 * Lets answers to workloads in on every link of the host that has a route.
 *
 * @throws SandboxError SANDBOX_NETWORK
 */
export function guardForwarding({ route, netfilter }: Sockets, table: string): void {
  if (isForwardingHost()) return;
  const names = hostLinks(route);
  const guardedElsewhere = guardedLinks(netfilter, table);
  for (const name of names) {
    const isForwarding = readForwarding(name);
    if (isForwarding === null || (isForwarding && !guardedElsewhere.has(name))) continue;
    const element = { set: 'guarded', key: linkKey(name) } as const;
    if (isForwarding && hasElement(netfilter, table, element)) continue;
    // The guard first: there is no instant in which the host forwards for strangers.
    commit(netfilter, table, { add: [element] });
    writeForwarding(name, '1');
  }
}

/** Turns off what {@link guardForwarding} turned on, but for what another home still needs. */
export function endForwarding({ netfilter }: Sockets, table: string): void {
  const neededElsewhere = guardedLinks(netfilter, table);
  for (const name of guardedIn(netfilter, table)) {
    if (!neededElsewhere.has(name) && readForwarding(name) === true) writeForwarding(name, '0');
  }
}

/** Largest packet that every link with a default route takes; workloads get it, so that nothing must be fragmented. */
export function uplinkMtu(route: NetlinkSocket): number {
  const ETHERNET_MTU = 1500;
  const uplinks = new Set(
    listRoutes(route).flatMap(({ prefix, link }) => (prefix === 0 && link !== null ? [link] : [])),
  );
  const mtus = listLinks(route)
    .filter(({ index, mtu }) => uplinks.has(index) && mtu > 0)
    .map(({ mtu }) => mtu);
  return Math.min(ETHERNET_MTU, ...mtus);
}

function hostLinks(route: NetlinkSocket): readonly string[] {
  const routed = new Set(
    listRoutes(route)
      .filter(({ isUnicast }) => isUnicast)
      .map(({ link }) => link),
  );
  return listLinks(route)
    .filter(
      ({ index, name }) => routed.has(index) && name !== LOOPBACK && !WORKLOAD_LINKS.test(name) && LINK_NAME.test(name),
    )
    .map(({ name }) => name);
}

/** Links guarded by the homes of this host other than the one of `table`. */
function guardedLinks(netfilter: NetlinkSocket, table: string): ReadonlySet<string> {
  const others = [...listTables(netfilter)].filter(
    ([name, comment]) => name !== table && comment.startsWith('provost '),
  );
  return new Set(others.flatMap(([name]) => guardedIn(netfilter, name)));
}

function guardedIn(netfilter: NetlinkSocket, table: string): readonly string[] {
  let found: readonly string[] = [];
  // A home that closes takes its table away at any time.
  ignoring(constants.errno.ENOENT, () => {
    found = listElements(netfilter, table, 'guarded').map(({ key }) => key.toString('latin1').replace(/\0+$/, ''));
  });
  return found;
}

/** Null when the link has gone. */
function readForwarding(name: string): boolean | null {
  try {
    return readFileSync(forwardingPath(name), 'utf8').trim() === '1';
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw refused(name, error);
  }
}

function writeForwarding(name: string, value: '0' | '1'): void {
  try {
    writeFileSync(forwardingPath(name), value);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw refused(name, error);
  }
}

function forwardingPath(name: string): string {
  // A dot in the name of a link (eth0.100) is a dot in this path too: only sysctl(8) swaps it.
  return `${SETTINGS}/conf/${name}/forwarding`;
}

function refused(name: string, error: unknown): SandboxError {
  return new SandboxError('SANDBOX_NETWORK', `cannot let answers to workloads in on ${name}: ${messageOf(error)}`, {
    exit: exitStatus.unavailable,
    hint: 'Make /proc/sys writable for Provost, or turn forwarding on: sysctl -w net.ipv4.ip_forward=1.',
    cause: error,
  });
}
