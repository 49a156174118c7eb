import { describe, expect, it } from 'vitest';
import {
  formatAddress,
  formatSubnet,
  isOverlapping,
  linkName,
  linkPrefix,
  parseAddress,
  parseEndpoint,
  parseSubnet,
  shaperName,
} from './addresses.ts';

describe('addresses', () => {
  it.each(['0.0.0.0', '10.0.0.5', '255.255.255.255'])('reads and writes %s', (written) => {
    expect(formatAddress(parseAddress(written))).toBe(written);
  });

  it.each(['', '10.0.0', '10.0.0.256', '10.0.0.5.1', '::1', ' 10.0.0.5', '010.0.0.5x'])('refuses %j', (written) => {
    expect(() => parseAddress(written)).toThrow(expect.objectContaining({ code: 'SANDBOX_NETWORK', exit: 2 }));
  });
});

describe('subnets', () => {
  it.each(['100.70.16.0/20', '10.0.0.0/8', '192.168.1.8/29'])('reads and writes %s', (written) => {
    expect(formatSubnet(parseSubnet(written))).toBe(written);
  });

  it.each(['100.70.17.0/20', '10.0.0.0/7', '10.0.0.0/30', '10.0.0.0', 'x/20'])('refuses %s', (written) => {
    expect(() => parseSubnet(written)).toThrow(expect.objectContaining({ code: 'SANDBOX_NETWORK' }));
  });

  it('overlap when one holds an address of the other', () => {
    const at = parseSubnet('10.0.16.0/20');
    expect(isOverlapping(at, parseSubnet('10.0.0.0/8'))).toBe(true);
    expect(isOverlapping(parseSubnet('10.0.31.248/29'), at)).toBe(true);
    expect(isOverlapping(at, parseSubnet('10.0.32.0/20'))).toBe(false);
  });
});

describe('endpoints', () => {
  it('are an address, a port and a protocol', () => {
    expect(parseEndpoint('10.0.0.5:5432/tcp')).toEqual({ address: 0x0a000005, port: 5432, protocol: 'tcp' });
    expect(parseEndpoint('10.0.0.5:53/udp').protocol).toBe('udp');
  });

  it.each([
    '10.0.0.5:0/tcp',
    '10.0.0.5:65536/tcp',
    '10.0.0.5:80',
    '10.0.0.5:80/sctp',
    'host:80/tcp',
    '10.0.0.0/8:80/tcp',
  ])('refuses %s', (written) => {
    expect(() => parseEndpoint(written)).toThrow(expect.objectContaining({ code: 'SANDBOX_NETWORK' }));
  });
});

describe('names of links', () => {
  it('fit into the kernel’s 15 characters, carry the home and differ by workload', () => {
    const names = ['a', 'b', `abcdef-${'0'.repeat(25)}`].map((id) => linkName('a1b2c3', id));
    expect(new Set(names).size).toBe(3);
    for (const name of names) {
      expect(name.length).toBeLessThanOrEqual(15);
      expect(name.startsWith(linkPrefix('a1b2c3'))).toBe(true);
      expect(shaperName(name)).toHaveLength(name.length);
    }
    expect(linkName('a1b2c3', 'a')).toBe(names[0]);
  });

  it('are refused for what is no home', () => {
    expect(() => linkPrefix('"*')).toThrow(/not the id of a home/);
  });
});
