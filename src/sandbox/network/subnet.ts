// The range of addresses of one home: chosen so that it collides with nothing that the host can reach, kept by a route of its own.
import { constants } from 'node:os';

import { exitStatus, sha256Hex } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { formatSubnet, isOverlapping, sizeOf, type Subnet } from './addresses.ts';
import { ignoring } from './elements.ts';
import { deleteReservation, listRoutes, newReservation, ROUTE_PROTOCOL, type Route } from './link.ts';
import type { NetlinkSocket } from './netlink.ts';

/** 4,094 workloads a home. */
const PREFIX = 20;
/** Carrier-grade NAT space (RFC 6598) first: hosts rarely use it themselves. Then the largest private range (RFC 1918). */
const SPACES: readonly Subnet[] = [
  { base: 0x6440_0000, prefix: 10 },
  { base: 0x0a00_0000, prefix: 8 },
];
/** Candidates that are tried in each space. */
const TRIES_MAX = 256;

/**
 * Reserves a range for home `homeId`: `wanted` when given, else the first free one of a sequence that each home begins elsewhere.
 *
 * @throws SandboxError SANDBOX_NETWORK when all are taken
 */
export function reserveSubnet(route: NetlinkSocket, homeId: string, wanted: Subnet | null): Subnet {
  const priority = priorityOf(homeId);
  for (const candidate of wanted === null ? candidatesFor(homeId) : [wanted]) {
    if (overlapping(listRoutes(route), candidate, priority).length > 0) continue;
    ignoring(constants.errno.EEXIST, () => route.request([newReservation(candidate, priority)]));
    // Two homes that choose at the same time both look again after they wrote: the later one sees the other and moves on.
    if (overlapping(listRoutes(route), candidate, priority).length === 0) return candidate;
    releaseSubnet(route, homeId, candidate);
  }
  const tried = wanted === null ? 'every range that was tried in 100.64.0.0/10 and 10.0.0.0/8' : formatSubnet(wanted);
  throw new SandboxError('SANDBOX_NETWORK', `no addresses for workloads: the host has routes into ${tried}`, {
    exit: exitStatus.unavailable,
    hint: 'See `ip route show table all` for what takes them.',
  });
}

/** The range that this home has reserved; null when it has none. */
export function reservedSubnet(route: NetlinkSocket, homeId: string): Subnet | null {
  const priority = priorityOf(homeId);
  const own = listRoutes(route).find((found) => found.protocol === ROUTE_PROTOCOL && found.priority === priority);
  return own === undefined ? null : { base: own.base, prefix: own.prefix };
}

/** Gives the range back; fine when it is gone. */
export function releaseSubnet(route: NetlinkSocket, homeId: string, subnet: Subnet): void {
  ignoring(constants.errno.ESRCH, () => route.request([deleteReservation(subnet, priorityOf(homeId))]));
}

/** Gives back every range that this home reserved, but `kept`. */
export function releaseOtherSubnets(route: NetlinkSocket, homeId: string, kept: Subnet | null): void {
  const priority = priorityOf(homeId);
  for (const found of listRoutes(route)) {
    if (found.protocol !== ROUTE_PROTOCOL || found.priority !== priority) continue;
    if (kept === null || found.base !== kept.base || found.prefix !== kept.prefix) releaseSubnet(route, homeId, found);
  }
}

/** The route's metric names its home: no two routes of different homes are the same route. */
function priorityOf(homeId: string): number {
  return Number.parseInt(sha256Hex(homeId).slice(0, 8), 16);
}

function* candidatesFor(homeId: string): Generator<Subnet> {
  const start = Number.parseInt(sha256Hex(homeId).slice(8, 16), 16);
  for (const space of SPACES) {
    const count = 2 ** (PREFIX - space.prefix);
    for (let step = 0; step < Math.min(count, TRIES_MAX); step++) {
      yield { base: space.base + ((start + step) % count) * sizeOf(PREFIX), prefix: PREFIX };
    }
  }
}

/** Routes that the candidate would take packets from: all but default routes and this home's own reservation. */
function overlapping(routes: readonly Route[], candidate: Subnet, priority: number): readonly Route[] {
  return routes.filter(
    (route) =>
      route.prefix > 0 &&
      isOverlapping(route, candidate) &&
      !(route.protocol === ROUTE_PROTOCOL && route.priority === priority),
  );
}
