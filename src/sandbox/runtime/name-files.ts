// The files by which a workload finds names: its own, and the servers that it may ask for others.
import { readFileSync } from 'node:fs';

/** A file that is bound into the root, read-only. */
export interface NameFile {
  readonly name: string;
  readonly target: string;
  readonly text: string;
}

/** Where systemd-resolved keeps the servers behind its own, which listens on a loopback address. */
const RESOLVERS = ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf'];
/** As resolv.conf(5): MAXNS. */
const NAMESERVERS_MAX = 3;

/** `hosts`, `hostname` and `resolv.conf` of a workload of this name. */
export function nameFiles(hostname: string): readonly NameFile[] {
  return [
    { name: 'hosts', target: '/etc/hosts', text: `127.0.0.1\tlocalhost ${hostname}\n` },
    { name: 'hostname', target: '/etc/hostname', text: `${hostname}\n` },
    { name: 'resolv.conf', target: '/etc/resolv.conf', text: resolverText(RESOLVERS.map(readText)) },
  ];
}

/** The first of the texts with a server that a workload can reach: the host's own loopback is not its loopback. */
export function resolverText(texts: readonly string[]): string {
  for (const text of texts) {
    const lines = text.split('\n').map((line) => line.trim());
    const servers = lines.filter((line) => /^nameserver\s+\d/.test(line) && !/^nameserver\s+127\./.test(line));
    if (servers.length === 0) continue;
    const rest = lines.filter((line) => /^(search|options)\s/.test(line));
    return `${[...servers.slice(0, NAMESERVERS_MAX), ...rest].join('\n')}\n`;
  }
  return '# this host has no name server that a workload can reach\n';
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Without it there is nothing to take over.
    return '';
  }
}
