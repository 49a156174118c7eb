// The fixed part of a home's nf_tables table. What a workload may do is decided by which sets its link is in, so that a change of
// mode is one element; nothing here accepts a packet because its connection was accepted before.
import { spawn } from 'node:child_process';

import { exitStatus, messageOf, sha256Hex } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { formatSubnet, linkPrefix, type Subnet, tableName } from './addresses.ts';
import { DNS_PORT } from './dns-question.ts';
import { questionGroup, questionPrefix } from './question-log.ts';

/** How long a destination stays in `seen` after the last new connection to it. */
const SEEN_FOR = '1m';
/** New destinations that one workload may enter: a scan of its own cannot fill the set for the others. */
const SEEN_PACE = '50/second burst 512 packets';
/** DNS questions that one workload may have read: a flood of its own cannot hide those of the others, and none costs more than this. */
const ASKING_PACE = '200/second burst 400 packets';
/** Bytes of a question that are read: headers of 88 bytes at most, 12 of DNS, 255 of name and 4 more. */
const QUESTION_BYTES = 384;
/** Entries of `seen`, over all workloads of the home: about 8 MiB of kernel memory at worst. */
const SEEN_ENTRIES_MAX = 65_535;
const LINKS_MAX = 4096;
const NFT_TIMEOUT_MS = 10_000;
const LAYOUT_LETTERS = 12;

/** The table of a home, and the comment that tells its range and its layout. */
export interface Ruleset {
  readonly script: string;
  readonly comment: string;
}

/** Writes the table of home `homeId` whose workloads have addresses of `subnet`; loading it replaces a table of the same name. */
export function rulesetOf(homeId: string, subnet: Subnet): Ruleset {
  const body = bodyOf(homeId, formatSubnet(subnet));
  const comment = `provost ${formatSubnet(subnet)} ${sha256Hex(body).slice(0, LAYOUT_LETTERS)}`;
  const table = `table inet ${tableName(homeId)}`;
  return { comment, script: `${table}\ndelete ${table}\n${table} {\n  comment "${comment}"\n${body}}\n` };
}

/** `ours` matches the links of this home, `"pv*"` those of every home. */
function bodyOf(homeId: string, subnet: string): string {
  const ours = `"${linkPrefix(homeId)}*"`;
  return [
    SETS,
    refusing(ours),
    counting(homeId),
    sendingChains(ours),
    passingChains(ours),
    translatingChains(ours, subnet),
  ].join('\n');
}

/** What other chains jump to. */
function refusing(ours: string): string {
  return `  # Counts what is refused, on the link of the workload that sent it or should have got it.
  chain refuse {
    iifname ${ours} iifname @refused drop
    oifname @refused drop
    drop
  }

  # Notes where a workload wants to go.
  chain note {
    meta l4proto { tcp, udp } update @pace { iifname limit rate ${SEEN_PACE} } update @seen { iifname . ip daddr . meta l4proto . th dport }
    meta l4proto != { tcp, udp } update @pace { iifname limit rate ${SEEN_PACE} } update @seen_other { iifname . ip daddr . meta l4proto }
  }
`;
}

/** What the workload asks of others and what they answer: counted by link, refused nothing. */
function counting(homeId: string): string {
  return `  # A packet without a connection begins one; one that is repeated because nobody answered has one already.
  chain beginning {
    ct status & confirmed == 0 iifname @begun
  }

  # Every question is counted; its name is read by whoever listens to the group.
  chain asking {
    iifname @asked
    update @asking_pace { iifname limit rate ${ASKING_PACE} } log prefix "${questionPrefix(homeId)}" group ${questionGroup(homeId)} snaplen ${QUESTION_BYTES} queue-threshold 1
  }

  # Somebody would not have it: a reset before the connection stood, or an error other than "too big".
  chain rebuffing {
    tcp flags & rst == rst ct direction reply ct status & assured == 0 oifname @rebuffed
    icmp type destination-unreachable icmp code != frag-needed ct state related oifname @rebuffed
  }
`;
}

/** On the way from a workload to this host. */
function sendingChains(ours: string): string {
  return `  # Before connection tracking: IPv6, false senders, cut links, and whatever wants the host's loopback.
  chain sending {
    type filter hook prerouting priority raw; policy accept;
    iifname != ${ours} return
    meta nfproto != ipv4 jump refuse
    iifname . ip saddr != @address jump refuse
    iifname != @open jump note
    iifname != @open jump refuse
    ip daddr { 0.0.0.0/8, 127.0.0.0/8 } jump refuse
  }

  # Before any address is translated, so that nobody's published port is a way around: the host itself, link-local, broadcast, multicast.
  chain reaching {
    type filter hook prerouting priority mangle; policy accept;
    iifname != ${ours} return
    ct direction reply ct state established return
    meta l4proto icmp ct state related return
    ct state new jump note
    ct state new jump beginning
    udp dport ${DNS_PORT} jump asking
    iifname . ip daddr . meta l4proto . th dport @allow return
    ip daddr 169.254.0.0/16 jump refuse
    fib daddr type != unicast jump refuse
  }

  # To the host: answers to what it asked, and what the policy allows.
  chain hosting {
    type filter hook input priority filter - 5; policy accept;
    iifname != ${ours} return
    ct direction reply ct state established accept
    meta l4proto icmp ct state related accept
    iifname . ip daddr . meta l4proto . th dport @allow accept
    jump refuse
  }
`;
}

/** On the way through this host, and to a workload. */
function passingChains(ours: string): string {
  return `  chain passing {
    type filter hook forward priority filter - 5; policy accept;
    iifname ${ours} jump leaving
    oifname ${ours} jump arriving
    # Links on which Provost itself turned forwarding on forward for workloads and for nobody else.
    iifname @guarded oifname != "pv*" drop
  }

  # To another workload: only answers, and what the policy allows (by its own address, or by a port that the host publishes).
  chain leaving {
    oifname != "pv*" return
    ct direction reply ct state established return
    meta l4proto icmp ct state related return
    iifname . ip daddr . meta l4proto . th dport @allow return
    ct status dnat return
    jump refuse
  }

  # From outside: only answers, and published ports.
  chain arriving {
    ct direction reply ct state established return
    meta l4proto icmp ct state related return
    ct status dnat return
    iifname ${ours} return
    jump refuse
  }

  # Last on every way to a workload, from the host too: nothing for a link that is cut.
  chain receiving {
    type filter hook postrouting priority raw; policy accept;
    oifname != ${ours} return
    meta nfproto != ipv4 jump refuse
    oifname != @open jump refuse
    jump rebuffing
  }
`;
}

/** Addresses of published ports, and of what leaves. */
function translatingChains(ours: string, subnet: string): string {
  return `  chain publishing {
    type nat hook prerouting priority dstnat; policy accept;
    jump translate
  }

  chain publishing_here {
    type nat hook output priority -100; policy accept;
    jump translate
  }

  chain translate {
    meta l4proto { tcp, udp } dnat ip to ip daddr . meta l4proto . th dport map @published
    meta l4proto { tcp, udp } fib daddr type local dnat ip to meta l4proto . th dport map @published_any
  }

  chain masquerading {
    type nat hook postrouting priority srcnat; policy accept;
    oifname ${ours} ip saddr 127.0.0.0/8 masquerade
    oifname != "pv*" ip saddr ${subnet} masquerade
  }
`;
}

const SETS = `
  # Links whose workload may send and receive at all: without this, it is isolated.
  set open { type ifname; }
  # The one address that may send on a link.
  set address { type ifname . ipv4_addr; }
  # Every link, with the count of packets refused on it.
  set refused { type ifname; counter; }
  # Every link, with the count of connections that its workload began, of those that were refused to it, of questions that it asked.
  set begun { type ifname; counter; }
  set rebuffed { type ifname; counter; }
  set asked { type ifname; counter; }
  set asking_pace { type ifname; flags dynamic,timeout; timeout ${SEEN_FOR}; size ${LINKS_MAX}; }
  # Destinations that the policy allows although they are the host's own or another workload's.
  set allow { type ifname . ipv4_addr . inet_proto . inet_service; }
  # Links of the host on which Provost turned forwarding on.
  set guarded { type ifname; }
  # Where workloads wanted to go lately.
  set seen { type ifname . ipv4_addr . inet_proto . inet_service; flags dynamic,timeout; timeout ${SEEN_FOR}; size ${SEEN_ENTRIES_MAX}; }
  set seen_other { type ifname . ipv4_addr . inet_proto; flags dynamic,timeout; timeout ${SEEN_FOR}; size ${SEEN_ENTRIES_MAX}; }
  set pace { type ifname; flags dynamic,timeout; timeout ${SEEN_FOR}; size ${LINKS_MAX}; }
  # Published ports, on one address of the host and on all.
  map published { type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service; }
  map published_any { type inet_proto . inet_service : ipv4_addr . inet_service; }
`;

/**
 * Loads a script with `nft`: the only process that the network of a home starts, once.
 *
 * @throws SandboxError SANDBOX_NETWORK
 */
export async function loadRuleset(script: string): Promise<void> {
  const { code, stderr } = await runNft(['-f', '-'], script);
  if (code === 0) return;
  throw new SandboxError('SANDBOX_NETWORK', `nft refused the network rules: ${stderr.trim().slice(0, 400)}`, {
    exit: exitStatus.unavailable,
    hint: 'A kernel with nf_tables (NAT, fib, ct, log, nfnetlink_log) and nft 1.0 or newer are needed; see `provost doctor`.',
  });
}

/**
 * Runs nft and gives what it printed.
 *
 * @throws SandboxError SANDBOX_NETWORK when it cannot be started
 */
export async function runNft(
  argv: readonly string[],
  input = '',
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const child = spawn('nft', argv, { env: { PATH: path }, timeout: NFT_TIMEOUT_MS, stdio: 'pipe' });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output.stdout += chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output.stderr += chunk));
  // A process that ends before it read everything is judged by its exit status, not by the broken pipe.
  child.stdin.on('error', () => undefined).end(input);
  try {
    const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
    return { code, ...output };
  } catch (error) {
    throw new SandboxError('SANDBOX_NETWORK', `cannot run nft: ${messageOf(error)}`, {
      exit: exitStatus.unavailable,
      hint: 'Install it: apt-get install nftables.',
      cause: error,
    });
  }
}
