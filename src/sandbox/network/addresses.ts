// IPv4 addresses and ranges as numbers, and names of links: what a home calls its things on the host.
import { createHash } from 'node:crypto';

import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';

/** A range of IPv4 addresses; `base` has no bits below `prefix`. */
export interface Subnet {
  readonly base: number;
  readonly prefix: number;
}

/** Bytes of the name of a link with its closing zero (linux/if.h). */
export const IFNAMSIZ = 16;

const HOME_ID = /^[a-z0-9]{6}$/;
const HASH_LETTERS = 7;

/** The four bytes of an address, in network order. */
export function addressBytes(address: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(address >>> 0);
  return out;
}

export function formatAddress(address: number): string {
  return [...addressBytes(address)].join('.');
}

export function formatSubnet({ base, prefix }: Subnet): string {
  return `${formatAddress(base)}/${prefix}`;
}

/**
 * Parses `10.0.0.5`.
 *
 * @throws SandboxError SANDBOX_NETWORK
 */
export function parseAddress(written: string): number {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(written)?.slice(1).map(Number);
  if (parts === undefined || parts.some((part) => part > 255)) throw malformed('an IPv4 address', written, '10.0.0.5');
  return Buffer.from(parts).readUInt32BE(0);
}

/**
 * Parses `100.70.16.0/20`; bits below the prefix must be zero.
 *
 * @throws SandboxError SANDBOX_NETWORK
 */
export function parseSubnet(written: string): Subnet {
  const match = /^([\d.]{7,15})\/(\d{1,2})$/.exec(written);
  const prefix = Number(match?.[2] ?? Number.NaN);
  if (match === null || prefix < 8 || prefix > 29)
    throw malformed('a subnet from /8 to /29', written, '100.70.16.0/20');
  const base = parseAddress(match[1] ?? '');
  if (base % sizeOf(prefix) !== 0) throw malformed('the first address of a subnet', written, '100.70.16.0/20');
  return { base, prefix };
}

/** A destination that a policy allows: `10.0.0.5:5432/tcp`. */
export interface Endpoint {
  readonly address: number;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

/**
 * Parses `10.0.0.5:5432/tcp`.
 *
 * @throws SandboxError SANDBOX_NETWORK
 */
export function parseEndpoint(written: string): Endpoint {
  const match = /^([\d.]{7,15}):(\d{1,5})\/(tcp|udp)$/.exec(written);
  const port = Number(match?.[2] ?? Number.NaN);
  if (match === null || port < 1 || port > 65_535) throw malformed('a destination', written, '10.0.0.5:5432/tcp');
  return { address: parseAddress(match[1] ?? ''), port, protocol: match[3] === 'udp' ? 'udp' : 'tcp' };
}

/** Addresses in a range of this prefix. */
export function sizeOf(prefix: number): number {
  return 2 ** (32 - prefix);
}

export function isOverlapping(a: Subnet, b: Subnet): boolean {
  return a.base < b.base + sizeOf(b.prefix) && b.base < a.base + sizeOf(a.prefix);
}

/** First letters of every link of the home: `pv` for the host end of a workload's link, `pi` for what shapes its sending. */
export function linkPrefix(homeId: string): string {
  if (!HOME_ID.test(homeId)) throw malformed('the id of a home', homeId, 'a1b2c3');
  return `pv${homeId}`;
}

/** Name of the host end of a workload's link: at most 15 characters, the same whenever it is asked for. */
export function linkName(homeId: string, id: string): string {
  const hash = BigInt(`0x${createHash('sha256').update(id).digest('hex')}`).toString(36);
  return `${linkPrefix(homeId)}${hash.slice(0, HASH_LETTERS)}`;
}

/** Name of the device that shapes what the workload behind `link` sends. */
export function shaperName(link: string): string {
  return `pi${link.slice(2)}`;
}

/** Name of the home's table. */
export function tableName(homeId: string): string {
  return `provost_${homeId}`;
}

function malformed(what: string, written: string, example: string): SandboxError {
  return new SandboxError('SANDBOX_NETWORK', `'${written.slice(0, 60)}' is not ${what}`, {
    exit: exitStatus.usage,
    hint: `Write it like ${example}.`,
  });
}
