// The link of one workload: made, shaped, taken away. Its elements in the table say what it may do.
import { constants } from 'node:os';

import { exitStatus } from '../../base/index.ts';
import { type NetworkPlan, SandboxError } from '../driver.ts';
import { formatAddress, parseAddress, parseEndpoint, shaperName } from './addresses.ts';
import { addressKey, type Element, endpointKey, ignoring, linkKey } from './elements.ts';
import {
  deleteLink,
  findLink,
  type Link,
  linkUp,
  newAddress,
  newDefaultRoute,
  newGatewayRoute,
  newIfb,
  newVeth,
  prepareHostEnd,
  withoutIpv6On,
  WORKLOAD_LINK,
} from './link.ts';
import { openNetlinkOf } from './namespace.ts';
import { netlinkFamily, NetlinkRefusal, type NetlinkSocket, openNetlink } from './netlink.ts';
import { publishedElement } from './ports.ts';
import { endRedirect, findBucket, redirect, removeBucket, setBucket } from './shaping.ts';

/** What must be true of one workload's link; the table can be made again from it. */
export interface WorkloadLink {
  readonly id: string;
  readonly name: string;
  /** Of the host end. */
  readonly index: number;
  /** Of the device that shapes what the workload sends; null without a limit. */
  shaperIndex: number | null;
  readonly address: number;
  /** Everything that the table holds for it, but for its place in `open`. */
  elements: readonly Element[];
  /** Whether it must be in `open`, as was asked for last. */
  isOpen: boolean;
}

/** Sets in which every link is, for their counters. */
export const COUNTING_SETS = ['refused', 'begun', 'rebuffed', 'asked'] as const;

/** The element that lets a link send and receive. */
export function openElement(name: string): Element {
  return { set: 'open', key: linkKey(name) };
}

/** The elements that every link has: its one address, and its counters. */
export function ownElements(name: string, address: number): readonly Element[] {
  return [
    { set: 'address', key: addressKey(name, address) },
    ...COUNTING_SETS.map((set) => ({ set, key: linkKey(name) })),
  ];
}

/**
 * What the table must hold before the link exists.
 *
 * @throws SandboxError SANDBOX_NETWORK for an allowed destination or a host address that cannot be read
 */
export function elementsFor(plan: NetworkPlan, name: string, address: number): readonly Element[] {
  return [
    ...ownElements(name, address),
    ...plan.allow.map((written) => ({ set: 'allow' as const, key: endpointKey(name, parseEndpoint(written)) })),
    ...plan.ports.map((port) => publishedElement(port, address)),
  ];
}

/** What a new link is made of. */
export interface LinkOrder {
  readonly name: string;
  readonly id: string;
  readonly pid: number;
  readonly address: number;
  readonly gateway: number;
  readonly mtu: number;
}

/** Makes the link with both its ends up; returns the index of the host end. Leaves nothing behind when it fails. */
export function makeLink(route: NetlinkSocket, order: LinkOrder): number {
  try {
    route.request([newVeth(order)]);
  } catch (error) {
    throw refusedLink(order, error);
  }
  try {
    const { index } = existing(findLink(route, order.name), order.name);
    route.request([
      prepareHostEnd(index, aliasOf(order)),
      newAddress(index, order.gateway, order.address),
      linkUp(index),
    ]);
    configureInside(order);
    return index;
  } catch (error) {
    ignoring(constants.errno.ENODEV, () => route.request([deleteLink(order.name)]));
    throw refusedLink(order, error);
  }
}

function configureInside({ pid, address, gateway }: LinkOrder): void {
  using inside = openNetlinkOf(pid);
  const { index } = existing(findLink(inside, WORKLOAD_LINK), WORKLOAD_LINK);
  inside.request([
    linkUp(),
    withoutIpv6On(index),
    // Not point-to-point, which gVisor could not take over: it removes addresses without naming their peer.
    newAddress(index, address, address),
    linkUp(index),
    newGatewayRoute(index, gateway),
    newDefaultRoute(index, gateway),
  ]);
}

/** Limits both directions, whatever limited them before. */
export function shape(route: NetlinkSocket, link: WorkloadLink, rateBitsPerSecond: number): void {
  const { name, index } = link;
  const through = shaperName(name);
  route.request([newIfb(through)]);
  const shaper = existing(findLink(route, through), through);
  if (findBucket(route, shaper.index) === null) {
    // A crash may have left any part of it: begin again.
    ignoring(constants.errno.EINVAL, () => ignoring(constants.errno.ENOENT, () => route.request([endRedirect(index)])));
    route.request([linkUp(shaper.index), ...redirect(index, shaper.index)]);
  }
  route.request([setBucket(index, rateBitsPerSecond), setBucket(shaper.index, rateBitsPerSecond)]);
  link.shaperIndex = shaper.index;
}

/** Drops what waits in the link's own queue: after a cut nothing more trickles in. */
export function purgeQueue(route: NetlinkSocket, { index }: WorkloadLink): void {
  try {
    route.request([removeBucket(index)]);
  } catch (error) {
    // ENOENT or EINVAL: it had no queue. ENODEV: it has gone.
    if (!(error instanceof NetlinkRefusal)) throw error;
  }
}

/** Ends the limits of both directions. */
export async function unshape(route: NetlinkSocket, link: WorkloadLink): Promise<void> {
  const through = shaperName(link.name);
  purgeQueue(route, link);
  if (findLink(route, through) === null) return;
  try {
    route.request([endRedirect(link.index)]);
  } catch (error) {
    // Nothing was redirected, or the link has gone.
    if (!(error instanceof NetlinkRefusal)) throw error;
  }
  link.shaperIndex = null;
  await removeLinks([through]);
}

/** The limit that both directions have; null when either has none. */
export function shapedRate(route: NetlinkSocket, { name, index }: WorkloadLink): number | null {
  const through = findLink(route, shaperName(name));
  const buckets = [findBucket(route, index), through === null ? null : findBucket(route, through.index)];
  const rates = buckets.map((bucket) => bucket?.rateBitsPerSecond ?? Number.POSITIVE_INFINITY);
  const highest = Math.max(...rates);
  return Number.isFinite(highest) ? highest : null;
}

/** Removes links by name, off the main thread; one that is gone is fine. */
export async function removeLinks(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  using socket = openNetlink(netlinkFamily.route);
  for (const name of names) {
    try {
      await socket.requestSlowly([deleteLink(name)]);
    } catch (error) {
      if (!(error instanceof NetlinkRefusal) || error.errno !== constants.errno.ENODEV) throw error;
    }
  }
}

/** What {@link makeLink} wrote on the host end: whose it is, and its address. */
export function readAlias({ alias }: Link): { readonly id: string; readonly address: number } | null {
  const match = /^provost ([a-z0-9-]{1,64}) ([\d.]{7,15})$/.exec(alias);
  return match === null ? null : { id: match[1] ?? '', address: parseAddress(match[2] ?? '') };
}

function aliasOf({ id, address }: LinkOrder): string {
  return `provost ${id} ${formatAddress(address)}`;
}

function existing(link: Link | null, name: string): Link {
  if (link !== null) return link;
  throw new SandboxError(
    'SANDBOX_GONE',
    `link ${name} vanished while it was set up: the process that it was for has ended`,
    {
      hint: 'See the log of the workload for why it ended.',
    },
  );
}

function refusedLink({ id, pid }: LinkOrder, error: unknown): unknown {
  if (!(error instanceof NetlinkRefusal)) return error;
  if (error.errno === constants.errno.ESRCH) {
    return new SandboxError('SANDBOX_GONE', `process ${pid}, whose network was to be set up, has ended`, {
      cause: error,
      hint: 'See the log of the workload for why it ended.',
    });
  }
  return new SandboxError('SANDBOX_NETWORK', `the kernel refused the link of ${id}: ${error.message}`, {
    exit: exitStatus.unavailable,
    hint: 'Run as root on a kernel with veth; `provost doctor` says what is missing.',
    cause: error,
  });
}
