// Published ports: who has a port of this host already, and the elements that lead it to a workload.
import { constants } from 'node:os';
import koffi from 'koffi';

import { exitStatus } from '../../base/index.ts';
import type { PortMapping } from '../../policy/index.ts';
import { SandboxError } from '../driver.ts';
import { addressBytes, parseAddress } from './addresses.ts';
import { type Element, ignoring, listElements, listTables, publishedKey, targetData } from './elements.ts';
import type { NetlinkSocket } from './netlink.ts';

const AF_INET = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOCKET_TYPE = { tcp: 1, udp: 2 } as const;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
/** What a published port says when it is meant for every address of the host. */
const EVERY_ADDRESS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::', '*']);
const MAPS = ['published', 'published_any'] as const;
/** Bytes of the address that opens a key of `published`. */
const ADDRESS_BYTES = 4;

const libc = koffi.load('libc.so.6');
const call = {
  socket: libc.func('int socket(int, int, int)'),
  setsockopt: libc.func('int setsockopt(int, int, int, const uint8_t *, uint32_t)'),
  bind: libc.func('int bind(int, const uint8_t *, uint32_t)'),
  close: libc.func('int close(int)'),
} as const;

/** The element that leads a port of the host to port `containerPort` of `address`. */
export function publishedElement(port: PortMapping, address: number): Element {
  const host = hostAddressOf(port);
  return {
    set: host === null ? 'published_any' : 'published',
    key: publishedKey({ address: host, protocol: port.protocol, port: port.hostPort }),
    data: targetData(address, port.containerPort),
  };
}

/**
 * Makes sure that each port is free: no program of the host holds it, and no home of this host publishes it.
 *
 * @throws SandboxError SANDBOX_PORT_IN_USE; SANDBOX_NETWORK for an address that the host does not have
 */
export function verifyPortsFree(netfilter: NetlinkSocket, ports: readonly PortMapping[]): void {
  if (ports.length === 0) return;
  const taken = publishedKeys(netfilter);
  for (const port of ports) {
    const host = hostAddressOf(port);
    const key = publishedKey({ address: host, protocol: port.protocol, port: port.hostPort });
    if (taken.some((other) => isSamePort(key, other))) throw portInUse(port, 'a workload publishes it already');
    taken.push(key);
    verifyBindable(port, host ?? 0);
  }
}

/** The maps' keys of every home. */
function publishedKeys(netfilter: NetlinkSocket): Buffer[] {
  const found: Buffer[] = [];
  for (const [table, comment] of listTables(netfilter)) {
    if (!comment.startsWith('provost ')) continue;
    for (const map of MAPS) {
      // A home that closes takes its table away between the two questions.
      ignoring(constants.errno.ENOENT, () => found.push(...listElements(netfilter, table, map).map(({ key }) => key)));
    }
  }
  return found;
}

/** Whether two keys of either map stand for the same port; a key without an address stands for every address. */
function isSamePort(a: Buffer, b: Buffer): boolean {
  if (a.length === b.length) return a.equals(b);
  return a.length > b.length ? a.subarray(ADDRESS_BYTES).equals(b) : b.subarray(ADDRESS_BYTES).equals(a);
}

function hostAddressOf({ hostAddress }: PortMapping): number | null {
  return EVERY_ADDRESS.has(hostAddress) ? null : parseAddress(hostAddress);
}

function verifyBindable(port: PortMapping, address: number): void {
  const descriptor = call.socket(AF_INET, SOCKET_TYPE[port.protocol] | SOCK_CLOEXEC, 0) as number;
  if (descriptor < 0) throw unbindable(port, koffi.errno());
  try {
    const one = Buffer.from([1, 0, 0, 0]);
    // As a server does: connections that only linger do not hold the port.
    if (port.protocol === 'tcp') call.setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, one, one.length);
    const name = Buffer.concat([
      Buffer.from([AF_INET, 0, port.hostPort >> 8, port.hostPort & 0xff]),
      addressBytes(address),
      Buffer.alloc(8),
    ]);
    if ((call.bind(descriptor, name, name.length) as number) !== 0) throw unbindable(port, koffi.errno());
  } finally {
    call.close(descriptor);
  }
}

function unbindable(port: PortMapping, errno: number): SandboxError {
  if (errno === constants.errno.EADDRINUSE) return portInUse(port, 'a program on this host holds it');
  return new SandboxError('SANDBOX_NETWORK', `cannot publish ${describe(port)}: bind failed with errno ${errno}`, {
    exit: exitStatus.unavailable,
    hint: 'Publish on an IPv4 address that this host has, or on 0.0.0.0.',
  });
}

function portInUse(port: PortMapping, why: string): SandboxError {
  return new SandboxError('SANDBOX_PORT_IN_USE', `cannot publish ${describe(port)}: ${why}`, {
    exit: exitStatus.unavailable,
    hint: 'Publish another port with -p HOST:CONTAINER, or stop what holds this one.',
    details: { hostPort: port.hostPort, protocol: port.protocol },
  });
}

function describe({ hostAddress, hostPort, protocol }: PortMapping): string {
  return `${hostAddress === '' ? '0.0.0.0' : hostAddress}:${hostPort}/${protocol}`;
}
