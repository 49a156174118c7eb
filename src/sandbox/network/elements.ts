// Elements of the home's nf_tables sets, written and read by netlink: all that changes while workloads come, go and change mode.
import { constants } from 'node:os';

import { addressBytes, type Endpoint, IFNAMSIZ } from './addresses.ts';
import { type Attribute, eachAttribute, readAttributes, text, textOf, writeAttributes } from './attributes.ts';
import { type NetlinkMessage, NetlinkRefusal, type NetlinkSocket, requestFlags } from './netlink.ts';

/** Sets and maps of the table; see ruleset.ts for what each means. */
export type SetName =
  | 'open'
  | 'address'
  | 'refused'
  | CountingSet
  | 'allow'
  | 'guarded'
  | 'seen'
  | 'seen_other'
  | 'published'
  | 'published_any';

/** Sets that hold every link, for their counters. */
export type CountingSet = 'begun' | 'rebuffed' | 'asked';

/** One element: its key, and in a map what the key leads to. */
export interface Element {
  readonly set: SetName;
  readonly key: Buffer;
  readonly data?: Buffer;
}

// linux/netfilter/nfnetlink.h and nf_tables.h
const NFTABLES = 10;
const BATCH = { begin: 16, end: 17 };
const NFT = { getTable: 1, delTable: 2, newElement: 12, getElement: 13, delElement: 14 };
const FAMILY_INET = 1;
const HEADER_BYTES = 4;
const TABLE = { name: 1, userdata: 6 };
const LIST = { table: 1, set: 2, elements: 3 };
const LIST_ELEMENT = 1;
const ELEMENT = { key: 1, data: 2, expression: 7 };
const DATA_VALUE = 1;
const EXPRESSION_DATA = 2;
const COUNTER_PACKETS = 2;
const PROTOCOL = { tcp: 6, udp: 17 } as const;

/** One atomic change of the home's table. */
export interface Change {
  readonly add?: readonly Element[];
  readonly remove?: readonly Element[];
}

/**
 * Applies a change as one transaction: all of it or nothing, without an instant in between.
 *
 * @throws NetlinkRefusal ENOENT without the table, or without an element to remove
 */
export function commit(socket: NetlinkSocket, table: string, { add = [], remove = [] }: Change): void {
  const changes = [
    ...remove.map((element) => elementMessage(NFT.delElement, table, element)),
    ...add.map((element) => ({ ...elementMessage(NFT.newElement, table, element), flags: requestFlags.create })),
  ];
  if (changes.length > 0) transact(socket, changes);
}

/** Removes what is there of these elements, in one change: the kernel waits for every CPU when one fails, so that first it is asked. */
export function removeFound(socket: NetlinkSocket, table: string, elements: readonly Element[]): void {
  const found = elements.filter((element) => hasElement(socket, table, element));
  try {
    commit(socket, table, { remove: found });
    return;
  } catch (error) {
    if (!(error instanceof NetlinkRefusal) || error.errno !== constants.errno.ENOENT) throw error;
  }
  // Somebody else took one of them away meanwhile: each for itself.
  for (const element of found) {
    ignoring(constants.errno.ENOENT, () => commit(socket, table, { remove: [element] }));
  }
}

/** Removes the table with everything in it; fine when it is not there. */
export function deleteTable(socket: NetlinkSocket, table: string): void {
  ignoring(constants.errno.ENOENT, () =>
    transact(socket, [{ type: typeOf(NFT.delTable), body: nfBody(FAMILY_INET, 0, [[TABLE.name, text(table)]]) }]),
  );
}

/** Elements of one set, each with its packet counter where the set counts. */
export function listElements(
  socket: NetlinkSocket,
  table: string,
  set: SetName,
): readonly (Element & { packets: number })[] {
  const found: (Element & { packets: number })[] = [];
  const names: Attribute[] = [
    [LIST.table, text(table)],
    [LIST.set, text(set)],
  ];
  socket.dump({ type: typeOf(NFT.getElement), body: nfBody(FAMILY_INET, 0, names) }, (body) => {
    const list = readAttributes(body.subarray(HEADER_BYTES)).get(LIST.elements);
    eachAttribute(list ?? Buffer.alloc(0), (_, element) => found.push(readElement(set, element)));
  });
  return found;
}

/** True when the set holds the element now. */
export function hasElement(socket: NetlinkSocket, table: string, element: Element): boolean {
  try {
    socket.get(elementMessage(NFT.getElement, table, element));
    return true;
  } catch (error) {
    if (error instanceof NetlinkRefusal && error.errno === constants.errno.ENOENT) return false;
    throw error;
  }
}

/** Names of the tables of family inet, each with the comment that was written with it. */
export function listTables(socket: NetlinkSocket): ReadonlyMap<string, string> {
  const COMMENT_HEADER_BYTES = 2;
  const found = new Map<string, string>();
  socket.dump({ type: typeOf(NFT.getTable), body: nfBody(FAMILY_INET, 0, []) }, (body) => {
    const attributes = readAttributes(body.subarray(HEADER_BYTES));
    const userdata = attributes.get(TABLE.userdata)?.subarray(COMMENT_HEADER_BYTES);
    found.set(textOf(attributes.get(TABLE.name)), textOf(userdata));
  });
  return found;
}

/** Runs `act`; a refusal with this errno is fine. */
export function ignoring(errno: number, act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof NetlinkRefusal) || error.errno !== errno) throw error;
  }
}

export function linkKey(link: string): Buffer {
  const key = Buffer.alloc(IFNAMSIZ);
  key.write(link, 0, IFNAMSIZ - 1, 'latin1');
  return key;
}

/** Key of `address`: which link may send with which source. */
export function addressKey(link: string, address: number): Buffer {
  return Buffer.concat([linkKey(link), addressBytes(address)]);
}

/** Key of `allow`, and of `seen`. */
export function endpointKey(link: string, { address, protocol, port }: Endpoint): Buffer {
  return Buffer.concat([linkKey(link), publishedKey({ address, protocol, port })]);
}

/** Key of `published`, or without an address of `published_any`. Each part is padded to four bytes. */
export function publishedKey({
  address,
  protocol,
  port,
}: Omit<Endpoint, 'address'> & { address: number | null }): Buffer {
  const host = address === null ? Buffer.alloc(0) : addressBytes(address);
  return Buffer.concat([host, Buffer.from([PROTOCOL[protocol], 0, 0, 0]), portPart(port)]);
}

/** What a published port leads to. */
export function targetData(address: number, port: number): Buffer {
  return Buffer.concat([addressBytes(address), portPart(port)]);
}

function portPart(port: number): Buffer {
  return Buffer.from([port >> 8, port & 0xff, 0, 0]);
}

function readElement(set: SetName, bytes: Buffer): Element & { packets: number } {
  const attributes = readAttributes(bytes);
  const valueOf = (type: number): Buffer | undefined => {
    const data = attributes.get(type);
    const value = data === undefined ? undefined : readAttributes(data).get(DATA_VALUE);
    return value === undefined ? undefined : Buffer.from(value);
  };
  const data = valueOf(ELEMENT.data);
  const counter = readAttributes(attributes.get(ELEMENT.expression) ?? Buffer.alloc(0)).get(EXPRESSION_DATA);
  const packets = readAttributes(counter ?? Buffer.alloc(0)).get(COUNTER_PACKETS);
  return {
    set,
    key: valueOf(ELEMENT.key) ?? Buffer.alloc(0),
    ...(data === undefined ? {} : { data }),
    packets: packets === undefined ? 0 : Number(packets.readBigUInt64BE(0)),
  };
}

function elementMessage(type: number, table: string, { set, key, data }: Element): NetlinkMessage {
  const parts: Attribute[] = [[ELEMENT.key, [[DATA_VALUE, key]]]];
  if (data !== undefined) parts.push([ELEMENT.data, [[DATA_VALUE, data]]]);
  const list: Attribute[] = [
    [LIST.table, text(table)],
    [LIST.set, text(set)],
    [LIST.elements, [[LIST_ELEMENT, parts]]],
  ];
  return { type: typeOf(type), body: nfBody(FAMILY_INET, 0, list) };
}

function transact(socket: NetlinkSocket, changes: readonly NetlinkMessage[]): void {
  const edge = (type: number): NetlinkMessage => ({ type, acknowledged: false, body: nfBody(0, NFTABLES, []) });
  socket.request([edge(BATCH.begin), ...changes, edge(BATCH.end)]);
}

function typeOf(message: number): number {
  return (NFTABLES << 8) | message;
}

function nfBody(family: number, resource: number, attributes: readonly Attribute[]): Buffer {
  return Buffer.concat([Buffer.from([family, 0, resource >> 8, resource & 0xff]), writeAttributes(attributes)]);
}
