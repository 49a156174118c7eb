// What `doctor` says of the network: rules, forwarding and shaping are tried for real, and nothing of it stays.
import { messageOf } from '../../base/index.ts';
import { isForwardingHost } from './forwarding.ts';
import { deleteLink, findLink, linkUp, newIfb } from './link.ts';
import { netlinkFamily, type NetlinkSocket, openNetlink } from './netlink.ts';
import { rulesetOf, runNft } from './ruleset.ts';
import { setBucket } from './shaping.ts';

/** One line of the doctor's report. */
export interface NetworkFinding {
  readonly name: string;
  readonly status: 'ok' | 'weak' | 'missing';
  readonly detail: string;
  /** What to do; null when nothing is to be done. */
  readonly fix: string | null;
}

/** Only checked, never loaded: any range and six letters will do. */
const CHECKED = rulesetOf('doctor', { base: 0x6440_0000, prefix: 20 });
const PROBED_BITS_PER_SECOND = 10_000_000;

/** Examines the network of this host; takes some 30 ms. Never throws. */
export async function networkFindings(): Promise<readonly NetworkFinding[]> {
  if (process.getuid?.() !== 0) {
    const detail = 'only root can see packet filters and links';
    return [{ name: 'network', status: 'missing', detail, fix: 'run it with sudo' }];
  }
  return [await rulesFinding(), forwardingFinding(), await policyFinding(), shapingFinding()];
}

async function rulesFinding(): Promise<NetworkFinding> {
  const name = 'network rules';
  try {
    const { code, stderr } = await runNft(['--check', '-f', '-'], CHECKED.script);
    if (code === 0) return { name, status: 'ok', detail: 'nftables takes the table of a home', fix: null };
    const fix = 'use a kernel with nf_tables (NAT, fib, ct) and nft 1.0 or newer';
    return { name, status: 'missing', detail: stderr.trim().split('\n')[0] ?? '', fix };
  } catch (error) {
    return { name, status: 'missing', detail: messageOf(error), fix: 'apt-get install nftables' };
  }
}

function forwardingFinding(): NetworkFinding {
  const name = 'network forwarding';
  if (isForwardingHost())
    return { name, status: 'ok', detail: 'this host forwards (net.ipv4.ip_forward is 1)', fix: null };
  return {
    name,
    status: 'weak',
    detail: 'net.ipv4.ip_forward is 0: forwarding is turned on link by link, and only workloads may use it',
    fix: 'nothing, unless other things here shall be forwarded too: sysctl -w net.ipv4.ip_forward=1',
  };
}

/** A chain of somebody else (Docker, a firewall) that drops what it does not know drops the workloads' packets too. */
async function policyFinding(): Promise<NetworkFinding> {
  const name = 'network policy';
  try {
    const { code, stdout } = await runNft(['-j', 'list', 'chains']);
    const [dropping] = code === 0 ? droppingChains(stdout) : [];
    if (dropping === undefined)
      return { name, status: 'ok', detail: 'no other filter drops what is forwarded', fix: null };
    const { family, table, chain } = dropping;
    const at = `${family} ${table} ${chain}`;
    return {
      name,
      status: 'weak',
      detail: `chain ${at} drops what is forwarded (policy drop): workloads reach nothing outside`,
      fix: `nft 'insert rule ${at} iifname "pv*" accept; insert rule ${at} oifname "pv*" accept'`,
    };
  } catch (error) {
    return {
      name,
      status: 'weak',
      detail: `other filters cannot be seen: ${messageOf(error)}`,
      fix: 'apt-get install nftables',
    };
  }
}

export interface Chain {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
}

/** The chains on the way of forwarded IPv4 packets whose policy is to drop, of the JSON that `nft -j list chains` prints. */
export function droppingChains(listing: string): Chain[] {
  const { nftables } = JSON.parse(listing) as {
    nftables: readonly { readonly chain?: Readonly<Record<string, unknown>> }[];
  };
  return nftables.flatMap(({ chain }) => {
    if (chain?.['hook'] !== 'forward' || chain['policy'] !== 'drop') return [];
    const [family, table, name] = [chain['family'], chain['table'], chain['name']].map(String);
    if (family !== 'ip' && family !== 'inet') return [];
    return [{ family, table: table ?? '', chain: name ?? '' }];
  });
}

function shapingFinding(): NetworkFinding {
  const name = 'network shaping';
  const device = `pidoctor${process.pid.toString(36)}`;
  try {
    using socket = openNetlink(netlinkFamily.route);
    tryShaping(socket, device);
    return { name, status: 'ok', detail: 'token buckets work in both directions (tbf, ifb)', fix: null };
  } catch (error) {
    return {
      name,
      status: 'missing',
      detail: `rates cannot be limited: ${messageOf(error)}`,
      fix: 'modprobe -a ifb sch_tbf sch_ingress cls_u32 act_mirred',
    };
  }
}

function tryShaping(socket: NetlinkSocket, device: string): void {
  socket.request([newIfb(device)]);
  try {
    const index = findLink(socket, device)?.index ?? 0;
    socket.request([linkUp(index), setBucket(index, PROBED_BITS_PER_SECOND)]);
  } finally {
    socket.request([deleteLink(device)]);
  }
}
