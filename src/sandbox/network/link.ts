// Links, addresses and routes by rtnetlink: the veth of a workload, both ends of it, and what the host has already.
import { constants } from 'node:os';

import { addressBytes, type Subnet } from './addresses.ts';
import { type Attribute, byte, readAttributes, text, textOf, u32, writeAttributes } from './attributes.ts';
import { type NetlinkMessage, NetlinkRefusal, type NetlinkSocket, requestFlags } from './netlink.ts';

// linux/rtnetlink.h and linux/if_link.h
const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  newAddr: 20,
  newRoute: 24,
  delRoute: 25,
  getRoute: 26,
  getStats: 94,
};
const IFLA = {
  name: 3,
  mtu: 4,
  linkInfo: 18,
  nsPid: 19,
  alias: 20,
  afSpec: 26,
  extMask: 29,
  txQueues: 31,
  rxQueues: 32,
};
const INFO = { kind: 1, data: 2 };
const VETH_PEER = 1;
const IFF_UP = 1;
const SKIP_STATS = 8;
const AF_INET = 2;
const AF_INET6 = 10;
const INET_CONF = 1;
const INET6_ADDR_GEN_MODE = 8;
const ADDR_GEN_NONE = 1;
const LINK_HEADER_BYTES = 16;

/** IPv4 settings of a link (linux/ip.h, IPV4_DEVCONF_*). */
const DEVCONF = { forwarding: 1, acceptRedirects: 4, rpFilter: 8, sourceRoute: 9, routeLocalnet: 26 };

const RTA = { destination: 1, link: 4, gateway: 5, priority: 6, table: 15 };
const ROUTE_HEADER_BYTES = 12;
const ROUTE_TABLE_MAIN = 254;
const ROUTE_UNICAST = 1;
const ROUTE_UNREACHABLE = 7;
const SCOPE_LINK = 253;
const PROTOCOL_STATIC = 4;
/** Marks the routes that reserve a home's subnet, among the numbers that rt_protos leaves to users. */
export const ROUTE_PROTOCOL = 225;

const STATS_HEADER_BYTES = 12;
const STATS_LINK = 1;

const LOOPBACK_INDEX = 1;
/** Name of a workload's end of its link. */
export const WORKLOAD_LINK = 'eth0';

/** A link as the kernel lists it. */
export interface Link {
  readonly index: number;
  readonly name: string;
  readonly alias: string;
  readonly mtu: number;
}

/** Counters of a link, as seen from the host. */
export interface LinkCounters {
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** A route that the host has. */
export interface Route extends Subnet {
  readonly link: number | null;
  readonly priority: number;
  readonly protocol: number;
  readonly isUnicast: boolean;
}

/** Makes a veth pair with its far end, {@link WORKLOAD_LINK}, in the namespace of process `pid`. */
export function newVeth({ name, pid, mtu }: { name: string; pid: number; mtu: number }): NetlinkMessage {
  const shape: Attribute[] = [
    [IFLA.mtu, u32(mtu)],
    [IFLA.txQueues, u32(1)],
    [IFLA.rxQueues, u32(1)],
  ];
  const far = [[IFLA.name, text(WORKLOAD_LINK)], [IFLA.nsPid, u32(pid)], ...shape] satisfies Attribute[];
  const peer = Buffer.concat([linkHeader(0, 0), writeAttributes(far)]);
  return link(RTM.newLink, { flags: requestFlags.create | requestFlags.exclusive }, [
    [IFLA.name, text(name)],
    ...shape,
    [
      IFLA.linkInfo,
      [
        [INFO.kind, text('veth')],
        [INFO.data, [[VETH_PEER, peer]]],
      ],
    ],
  ]);
}

/** Makes an intermediate functional block: a device whose queue shapes what comes in on another link. */
export function newIfb(name: string): NetlinkMessage {
  return link(RTM.newLink, { flags: requestFlags.create }, [
    [IFLA.name, text(name)],
    [IFLA.txQueues, u32(1)],
    [IFLA.rxQueues, u32(1)],
    [IFLA.linkInfo, [[INFO.kind, text('ifb')]]],
  ]);
}

/**
 * Prepares the host end before it comes up: no IPv6, strict reverse path, no redirects, forwarding for this link alone, and
 * replies to the host's own 127.0.0.1 let through (the table drops whatever the workload itself sends there).
 */
export function prepareHostEnd(index: number, alias: string): NetlinkMessage {
  const settings: readonly (readonly [number, number])[] = [
    [DEVCONF.forwarding, 1],
    [DEVCONF.acceptRedirects, 0],
    [DEVCONF.rpFilter, 1],
    [DEVCONF.sourceRoute, 0],
    [DEVCONF.routeLocalnet, 1],
  ];
  const conf: Attribute = [INET_CONF, settings.map(([setting, value]) => [setting, u32(value)] as const)];
  return link(RTM.newLink, { index }, [
    [IFLA.alias, text(alias)],
    [IFLA.afSpec, [[AF_INET, [conf]], withoutIpv6]],
  ]);
}

/** Lets the kernel give the link no IPv6 address at all, so that programs see at once that there is no route. */
const withoutIpv6: Attribute = [AF_INET6, [[INET6_ADDR_GEN_MODE, byte(ADDR_GEN_NONE)]]];

export function withoutIpv6On(index: number): NetlinkMessage {
  return link(RTM.newLink, { index }, [[IFLA.afSpec, [withoutIpv6]]]);
}

export function linkUp(index: number = LOOPBACK_INDEX): NetlinkMessage {
  return link(RTM.newLink, { index, isUp: true }, []);
}

export function deleteLink(name: string): NetlinkMessage {
  return link(RTM.delLink, {}, [[IFLA.name, text(name)]]);
}

/** An address; with a `peer` other than itself a point-to-point one, to which the kernel adds the route by itself. */
export function newAddress(index: number, local: number, peer: number): NetlinkMessage {
  const header = Buffer.from([AF_INET, 32, 0, 0, 0, 0, 0, 0]);
  header.writeUInt32LE(index, 4);
  const attributes = writeAttributes([
    [1, addressBytes(peer)],
    [2, addressBytes(local)],
  ]);
  return {
    type: RTM.newAddr,
    flags: requestFlags.create | requestFlags.exclusive,
    body: Buffer.concat([header, attributes]),
  };
}

/** Makes `gateway` reachable on a link whose own address is alone in its subnet. */
export function newGatewayRoute(index: number, gateway: number): NetlinkMessage {
  const header = routeHeader({ prefix: 32, protocol: PROTOCOL_STATIC, type: ROUTE_UNICAST, scope: SCOPE_LINK });
  const attributes = writeAttributes([
    [RTA.destination, addressBytes(gateway)],
    [RTA.link, u32(index)],
  ]);
  return {
    type: RTM.newRoute,
    flags: requestFlags.create | requestFlags.exclusive,
    body: Buffer.concat([header, attributes]),
  };
}

export function newDefaultRoute(index: number, gateway: number): NetlinkMessage {
  const header = routeHeader({ prefix: 0, protocol: PROTOCOL_STATIC, type: ROUTE_UNICAST });
  const attributes = writeAttributes([
    [RTA.gateway, addressBytes(gateway)],
    [RTA.link, u32(index)],
  ]);
  return {
    type: RTM.newRoute,
    flags: requestFlags.create | requestFlags.exclusive,
    body: Buffer.concat([header, attributes]),
  };
}

/** Keeps a subnet for the home whose number is `priority`: what no workload has is unreachable rather than sent to the default route. */
export function newReservation(subnet: Subnet, priority: number): NetlinkMessage {
  return { type: RTM.newRoute, flags: requestFlags.create, body: reservation(subnet, priority) };
}

export function deleteReservation(subnet: Subnet, priority: number): NetlinkMessage {
  return { type: RTM.delRoute, body: reservation(subnet, priority) };
}

function reservation({ base, prefix }: Subnet, priority: number): Buffer {
  const header = routeHeader({ prefix, protocol: ROUTE_PROTOCOL, type: ROUTE_UNREACHABLE });
  return Buffer.concat([
    header,
    writeAttributes([
      [RTA.destination, addressBytes(base)],
      [RTA.priority, u32(priority)],
    ]),
  ]);
}

/** The link of this name; null when there is none. */
export function findLink(socket: NetlinkSocket, name: string): Link | null {
  try {
    return readLink(
      socket.get(
        link(RTM.getLink, {}, [
          [IFLA.name, text(name)],
          [IFLA.extMask, u32(SKIP_STATS)],
        ]),
      ),
    );
  } catch (error) {
    if (error instanceof NetlinkRefusal && error.errno === constants.errno.ENODEV) return null;
    throw error;
  }
}

/** All links of the namespace of `socket`. */
export function listLinks(socket: NetlinkSocket): readonly Link[] {
  const found: Link[] = [];
  socket.dump(link(RTM.getLink, {}, [[IFLA.extMask, u32(SKIP_STATS)]]), (body) => found.push(readLink(body)));
  return found;
}

/** IPv4 routes of every table but `local`. */
export function listRoutes(socket: NetlinkSocket): readonly Route[] {
  const ROUTE_TABLE_LOCAL = 255;
  const found: Route[] = [];
  const header = Buffer.alloc(ROUTE_HEADER_BYTES);
  header[0] = AF_INET;
  socket.dump({ type: RTM.getRoute, body: header }, (body) => {
    const attributes = readAttributes(body.subarray(ROUTE_HEADER_BYTES));
    if ((attributes.get(RTA.table)?.readUInt32LE(0) ?? body[4]) === ROUTE_TABLE_LOCAL) return;
    found.push({
      base: attributes.get(RTA.destination)?.readUInt32BE(0) ?? 0,
      prefix: body[1] ?? 0,
      link: attributes.get(RTA.link)?.readUInt32LE(0) ?? null,
      priority: attributes.get(RTA.priority)?.readUInt32LE(0) ?? 0,
      protocol: body[5] ?? 0,
      isUnicast: body[7] === ROUTE_UNICAST,
    });
  });
  return found;
}

/** Counters of every link, by index; one short entry a link. */
export function listCounters(socket: NetlinkSocket): ReadonlyMap<number, LinkCounters> {
  const found = new Map<number, LinkCounters>();
  const header = Buffer.alloc(STATS_HEADER_BYTES);
  header.writeUInt32LE(STATS_LINK, 8);
  socket.dump({ type: RTM.getStats, body: header }, (body) => {
    const counters = readAttributes(body.subarray(STATS_HEADER_BYTES)).get(STATS_LINK);
    if (counters === undefined) return;
    const at = (index: number): number => Number(counters.readBigUInt64LE(index * 8));
    found.set(body.readUInt32LE(4), { rxPackets: at(0), txPackets: at(1), rxBytes: at(2), txBytes: at(3) });
  });
  return found;
}

function readLink(body: Buffer): Link {
  const attributes = readAttributes(body.subarray(LINK_HEADER_BYTES));
  return {
    index: body.readInt32LE(4),
    name: textOf(attributes.get(IFLA.name)),
    alias: textOf(attributes.get(IFLA.alias)),
    mtu: attributes.get(IFLA.mtu)?.readUInt32LE(0) ?? 0,
  };
}

interface LinkChange {
  readonly index?: number;
  readonly flags?: number;
  readonly isUp?: boolean;
}

function link(
  type: number,
  { index = 0, flags = 0, isUp = false }: LinkChange,
  attributes: readonly Attribute[],
): NetlinkMessage {
  const header = linkHeader(index, isUp ? IFF_UP : 0);
  return { type, flags, body: Buffer.concat([header, writeAttributes(attributes)]) };
}

function linkHeader(index: number, up: number): Buffer {
  const header = Buffer.alloc(LINK_HEADER_BYTES);
  header.writeInt32LE(index, 4);
  header.writeUInt32LE(up, 8);
  header.writeUInt32LE(up, 12);
  return header;
}

interface RouteShape {
  readonly prefix: number;
  readonly protocol: number;
  readonly type: number;
  readonly scope?: number;
}

function routeHeader({ prefix, protocol, type, scope = 0 }: RouteShape): Buffer {
  return Buffer.from([AF_INET, prefix, 0, 0, ROUTE_TABLE_MAIN, protocol, scope, type, 0, 0, 0, 0]);
}
