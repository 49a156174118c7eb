// What an earlier supervisor of the same home left in the kernel: read back into links, and told apart from what belongs to nobody.
import { constants } from 'node:os';

import { addressBytes, linkPrefix, shaperName } from './addresses.ts';
import { type Element, ignoring, linkKey, listElements, type SetName } from './elements.ts';
import { type Link, listLinks } from './link.ts';
import type { NetlinkSocket } from './netlink.ts';
import { COUNTING_SETS, ownElements, readAlias, type WorkloadLink } from './workload-link.ts';

/** Sets whose elements belong to workloads. */
const OWNED_SETS: readonly SetName[] = ['open', 'address', ...COUNTING_SETS, 'allow', 'published', 'published_any'];

interface Home {
  readonly route: NetlinkSocket;
  readonly netfilter: NetlinkSocket;
  readonly homeId: string;
  readonly table: string;
}

/** What the kernel has of one home. */
export interface Found {
  readonly links: readonly WorkloadLink[];
  /** Devices and elements of no link. */
  readonly strayDevices: readonly string[];
  readonly strayElements: readonly Element[];
}

/** Reads the links of a home and all that its table holds for them. Without the table every link counts as cut. */
export function findLinks({ route, netfilter, homeId, table }: Home): Found {
  const devices = listLinks(route);
  const elements = ownedElements(netfilter, table);
  const hostEnds = devices.filter(({ name }) => name.startsWith(linkPrefix(homeId)));
  const links = hostEnds.flatMap((device) => readLinkOf(device, devices, elements));
  const names = new Set(
    links.flatMap(({ name, shaperIndex }) => (shaperIndex === null ? [name] : [name, shaperName(name)])),
  );
  const isOurs = ({ name }: Link): boolean =>
    name.startsWith(linkPrefix(homeId)) || name.startsWith(shaperName(linkPrefix(homeId)));
  return {
    links,
    strayDevices: devices.filter((device) => isOurs(device) && !names.has(device.name)).map(({ name }) => name),
    strayElements: elements.filter((element) => !links.some((link) => isOf(element, link))),
  };
}

function readLinkOf(device: Link, devices: readonly Link[], elements: readonly Element[]): readonly WorkloadLink[] {
  const owner = readAlias(device);
  if (owner === null) return [];
  const { name, index } = device;
  const { address } = owner;
  const held = elements.filter((element) => isOf(element, { name, address }));
  const own = ownElements(name, address);
  return [
    {
      ...owner,
      name,
      index,
      shaperIndex: devices.find((other) => other.name === shaperName(name))?.index ?? null,
      elements: [...own, ...held.filter(({ set }) => !isOwn(set) && set !== 'open')],
      isOpen: held.some(({ set }) => set === 'open'),
    },
  ];
}

function isOwn(set: SetName): boolean {
  return set === 'address' || COUNTING_SETS.some((counting) => counting === set);
}

/** Whether an element stands for this link: by its name, or by the address that it leads to. */
function isOf({ set, key, data }: Element, { name, address }: Pick<WorkloadLink, 'name' | 'address'>): boolean {
  if (data !== undefined) return data.subarray(0, addressBytes(address).length).equals(addressBytes(address));
  const link = linkKey(name);
  const expected = set === 'address' ? Buffer.concat([link, addressBytes(address)]) : link;
  return key.subarray(0, expected.length).equals(expected);
}

function ownedElements(netfilter: NetlinkSocket, table: string): readonly Element[] {
  const found: Element[] = [];
  for (const set of OWNED_SETS) {
    // A table of an older layout, or one that was flushed, has not every set.
    ignoring(constants.errno.ENOENT, () => found.push(...listElements(netfilter, table, set)));
  }
  return found;
}
