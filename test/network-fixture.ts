// Hosts made of network namespaces: workloads behind a network of a test's own, and a remote host behind a link of its own.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { readlinkSync } from 'node:fs';

const DEADLINE_MS = 15_000;
const POLL_MS = 10;

/** A network namespace with a process that holds it. */
export class NetworkHost implements Disposable {
  readonly pid: number;
  readonly #holder: ChildProcess;

  private constructor(holder: ChildProcess) {
    this.#holder = holder;
    this.pid = holder.pid ?? 0;
  }

  static async open(): Promise<NetworkHost> {
    const holder = spawn('unshare', ['--net', '--kill-child', 'sleep', '1000'], { stdio: 'ignore' });
    const host = new NetworkHost(holder);
    const own = netnsOf(process.pid);
    await until('the namespace is there', () => ![own, ''].includes(netnsOf(host.pid)));
    host.run('ip', 'link', 'set', 'lo', 'up');
    return host;
  }

  /** Runs a command inside; its output, or null when it fails. */
  run(...command: readonly string[]): string | null {
    try {
      return execFileSync('nsenter', ['-t', String(this.pid), '-n', ...command], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        timeout: DEADLINE_MS,
      });
    } catch {
      // That it fails is what many tests ask for.
      return null;
    }
  }

  /** Starts a command inside; ended with the host. */
  start(...command: readonly string[]): ChildProcess {
    const child = spawn('nsenter', ['-t', String(this.pid), '-n', ...command], { stdio: ['pipe', 'pipe', 'ignore'] });
    this.#holder.once('exit', () => child.kill('SIGKILL'));
    return child;
  }

  /** Serves a fixed text over HTTP on a port. */
  async serve(port: number, text = 'hello'): Promise<void> {
    this.start(process.execPath, '-e', SERVER, String(port), text);
    await until(`port ${port} is open`, () => this.get('127.0.0.1', port) !== null);
  }

  /** What a GET answers, or null. */
  get(address: string, port: number): string | null {
    return this.run(process.execPath, '-e', GET, `http://${address}:${port}/`);
  }

  [Symbol.dispose](): void {
    this.#holder.kill('SIGKILL');
  }
}

/** Writes what a GET answers within a second. */
export const GET = `
const { get } = require('node:http');
const request = get(process.argv[1], { agent: false, timeout: 1000 }, (reply) => reply.pipe(process.stdout));
request.on('timeout', () => request.destroy(new Error('timeout'))).on('error', () => process.exit(1));
`;

/** GET answers the text and as many bytes more as the path says; POST takes everything. Tells its port and each request. */
const SERVER = `
const [port, text] = process.argv.slice(1);
const server = require('node:http').createServer((request, reply) => {
  console.log('request');
  if (request.method === 'POST') { request.resume().once('end', () => reply.end()); return; }
  reply.end(text + 'x'.repeat(Number(request.url.slice(1)) || 0));
}).listen(Number(port), '0.0.0.0', () => console.log(server.address().port));
`;

/** A service of this host, in a process of its own: the tests' commands hold up their own process. */
export interface HostService extends Disposable {
  readonly port: number;
  /** How many requests it has got. */
  readonly requests: () => number;
}

/** Serves a text on every address of this host. */
export async function openHostService(text: string): Promise<HostService> {
  const child = spawn(process.execPath, ['-e', SERVER, '0', text], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString('latin1')));
  await until('the service listens', () => output.includes('\n'));
  return {
    port: Number(output.split('\n')[0]),
    requests: () => output.split('\n').filter((line) => line === 'request').length,
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

/** A host beyond this one: 198.18.x.y (benchmarking, RFC 2544), reached by a link of its own. */
export interface RemoteHost extends Disposable {
  readonly host: NetworkHost;
  readonly address: string;
  /** This host's end of the link. */
  readonly near: string;
}

export async function openRemoteHost(): Promise<RemoteHost> {
  const host = await NetworkHost.open();
  const name = `tr${randomBytes(4).toString('hex')}`;
  const [third, fourth] = [randomInt(256), 4 * randomInt(64)];
  const [near, far] = [`198.18.${third}.${fourth + 1}`, `198.18.${third}.${fourth + 2}`];
  const ip = (...args: readonly string[]): void => void execFileSync('ip', args, { stdio: 'ignore' });
  ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(host.pid));
  ip('addr', 'add', `${near}/30`, 'dev', name);
  ip('link', 'set', name, 'up');
  host.run('ip', 'addr', 'add', `${far}/30`, 'dev', 'eth0');
  host.run('ip', 'link', 'set', 'eth0', 'up');
  host.run('ip', 'route', 'add', 'default', 'via', near);
  return {
    host,
    address: far,
    near,
    [Symbol.dispose]: () => {
      host[Symbol.dispose]();
      execFileSync('ip', ['link', 'delete', name], { stdio: 'ignore' });
    },
  };
}

/** Everything of a home in this namespace's network: links, table, routes. */
export function networkTraces(homeId: string): string[] {
  const lines = (...command: readonly [string, ...string[]]): string[] =>
    execFileSync(command[0], command.slice(1), { encoding: 'utf8' }).split('\n');
  return [
    ...lines('ip', '-o', 'link').filter((line) => line.includes(`pv${homeId}`) || line.includes(`pi${homeId}`)),
    ...lines('nft', 'list', 'tables').filter((line) => line.includes(homeId)),
  ];
}

/** Resolves once `condition` holds. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${DEADLINE_MS} ms in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** What identifies the network namespace of a process; empty when it has ended. */
function netnsOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return '';
  }
}
