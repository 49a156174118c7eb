// The flags of `run`, from text to a request.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

import { InvalidArgumentError, Option } from 'commander';

import type { RunRequest } from '../api/index.ts';
import { exitStatus, messageOf, parseCpu, parseDuration, parseSize } from '../base/index.ts';
import { CliError } from './cli-error.ts';

const STDIN = 0;

export interface RunFlags {
  readonly name?: string;
  readonly cpu: number;
  readonly memory: number;
  readonly pids: number;
  readonly disk: number;
  readonly time?: number;
  readonly publish: RunRequest['ports'];
  readonly env: readonly string[];
  readonly volume: RunRequest['mounts'];
  readonly secret: Readonly<Record<string, string>>;
  readonly user: string;
  readonly workdir: string;
  readonly restart: RunRequest['restart'];
  readonly stopTimeout: number;
  readonly interactive?: boolean;
  readonly tty?: boolean;
  readonly rm?: boolean;
  readonly detach?: boolean;
  readonly mode?: 'observe' | 'enforce';
  readonly policy?: string;
  readonly rootfs?: string;
  readonly dryRun?: boolean;
  readonly exitCode?: boolean;
  readonly replace?: boolean;
}

/** Makes an argument parser of commander out of one of ours: its error becomes a usage error of that flag. */
function flag<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  };
}

export const cpuFlag = flag(parseCpu);
export const sizeFlag = flag(parseSize);
export const durationFlag = flag(parseDuration);
export const countFlag = flag((text) => {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new Error(`'${text.slice(0, 20)}' is not a count of at least 1`);
  return Number(text);
});

/** `[ADDRESS:]HOST:CONTAINER[/tcp|udp]`; the address defaults to all, as with Docker. */
export function portFlag(text: string, before: RunRequest['ports']): RunRequest['ports'] {
  const match = /^(?:(\d{1,3}(?:\.\d{1,3}){3}):)?(\d{1,5}):(\d{1,5})(?:\/(tcp|udp))?$/.exec(text);
  const ports = [Number(match?.[2]), Number(match?.[3])] as const;
  if (match === null || ports.some((port) => port < 1 || port > 65_535)) {
    throw new InvalidArgumentError('write HOST:CONTAINER, like 8080:80 or 127.0.0.1:8080:80/tcp');
  }
  const protocol = match[4] === 'udp' ? 'udp' : 'tcp';
  return [...before, { hostAddress: match[1] ?? '0.0.0.0', hostPort: ports[0], containerPort: ports[1], protocol }];
}

/** `K=V`, or `K` for the value that the caller has. */
export function envFlag(text: string, before: readonly string[]): string[] {
  if (/^[A-Za-z_]\w*$/.test(text)) return [...before, `${text}=${process.env[text] ?? ''}`];
  if (!/^[^=]+=/.test(text)) throw new InvalidArgumentError('write NAME=VALUE');
  return [...before, text];
}

/** `SRC:DST[:ro]`; the source may be relative, the target may not. */
export function volumeFlag(text: string, before: RunRequest['mounts']): RunRequest['mounts'] {
  const match = /^([^:]+):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError('write SOURCE:/TARGET or SOURCE:/TARGET:ro');
  return [...before, { source: resolve(match[1] ?? ''), target: match[2] ?? '', readOnly: match[3] === 'ro' }];
}

/** `NAME=FILE`; the content is read here, on the client's side. */
export function secretFlag(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const match = /^([A-Za-z0-9._-]{1,64})=(.+)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('write NAME=FILE');
  return { ...before, [match[1] ?? '']: readInput(match[2] ?? '', 'secret').toString('base64') };
}

/** An option whose default is shown as people write it. */
export function quantityOption(flag: string, what: string, parse: (text: string) => number, text: string): Option {
  return new Option(flag, what).argParser(parse).default(parse(text), text);
}

/** Reads a file that the user named; `-` is standard input. */
export function readInput(path: string, what: string): Buffer {
  try {
    // By its number: a socket, as a service gets it, has no path that opens.
    return readFileSync(path === '-' ? STDIN : path);
  } catch (error) {
    throw new CliError('CLI_FILE', `cannot read the ${what} ${path}: ${messageOf(error)}`, {
      exit: exitStatus.usage,
      hint: 'Check the path and its permissions.',
      cause: error,
    });
  }
}

/** Writes a file that the user named; `hint` says what to name instead. */
export function writeOutput(
  path: string,
  bytes: string | Uint8Array,
  { what, hint }: { readonly what: string; readonly hint: string },
): void {
  try {
    writeFileSync(path, bytes);
  } catch (error) {
    throw new CliError('CLI_FILE', `the ${what} cannot be written: ${messageOf(error)}`, {
      exit: exitStatus.unavailable,
      hint,
      cause: error,
    });
  }
}

/** What is no path: a digest, an image of the engine, and a first part that is a registry's host, as for Docker. */
const NO_PATH = /^(?:$|sha256:|docker:|(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[^/]*:\d{1,5})\/)/;

/** A path on this side becomes absolute: the supervisor has another working folder. Registry names stay as they are. */
export function absoluteReference(reference: string): string {
  const prefixed = /^(oci|docker-archive):(.*)$/.exec(reference);
  if (prefixed !== null) return `${prefixed[1]}:${resolve(prefixed[2] ?? '')}`;
  return NO_PATH.test(reference) ? reference : resolve(reference);
}

/** Puts flags and operands together. `image` is null with --rootfs. */
export function requestOf(flags: RunFlags, image: string | null, argv: readonly string[]): RunRequest {
  return {
    name: flags.name ?? null,
    artifact:
      flags.rootfs === undefined
        ? { reference: absoluteReference(image ?? ''), rootfs: false }
        : { reference: resolve(flags.rootfs), rootfs: true },
    argv: [...argv],
    cpuMillicores: flags.cpu,
    memoryBytes: flags.memory,
    diskBytes: flags.disk,
    pids: flags.pids,
    timeMs: flags.time ?? null,
    ports: flags.publish,
    env: [...flags.env],
    mounts: flags.volume,
    secrets: { ...flags.secret },
    user: flags.user,
    workingDir: flags.workdir,
    restart: flags.restart,
    stopTimeoutMs: flags.stopTimeout,
    stdin: flags.interactive === true,
    terminal: flags.tty === true,
    attach: flags.detach !== true && (flags.interactive === true || flags.tty === true),
    removeAtExit: flags.rm === true,
    mode: flags.mode ?? null,
    policy:
      flags.policy === undefined
        ? null
        : { source: resolve(flags.policy), text: readInput(flags.policy, 'policy').toString('utf8') },
    replace: flags.replace === true,
  };
}
