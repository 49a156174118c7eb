// Go's own code for logs, and Tessera's tools, as programs that tests and benches run; built when they are not there yet.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from './needs.ts';

const PROJECT_FOLDER = join(import.meta.dirname, '..');
const PROGRAMS_FOLDER = join(PROJECT_FOLDER, '.cache/go-bin');
const TESSERA = 'github.com/transparency-dev/tessera';
const TESSERA_VERSION = 'v1.0.4';
/** A build from nothing takes a minute on two busy cores, and more where modules come slowly; a proxy that does not answer takes for ever. */
export const BUILD_MS_MAX = 240_000;
const STDERR_CHARS_SHOWN = 2000;

/** Programs of Tessera by the path of their package. */
export type TesseraTool = 'cmd/fsck' | 'cmd/conformance/posix' | 'internal/hammer';

/** A program to its end. */
export interface ProgramRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** How a program ended. */
export interface ProgramEnd {
  /** Null when it was ended: it took too long. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end; one that takes too long is killed with all that it started. */
export async function runProgram({ command, args, input, env, timeoutMs }: ProgramRun): Promise<ProgramEnd> {
  const child = spawn(command, args, { env: { ...process.env, ...env }, detached: true });
  const ended = Promise.withResolvers<number | null>();
  child.once('error', ended.reject);
  child.once('close', ended.resolve);
  const { pid } = child;
  const deadline = setTimeout(() => pid !== undefined && process.kill(-pid, 'SIGKILL'), timeoutMs);
  const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
  child.stderr.on('data', (bytes: Buffer) => stderr.push(bytes));
  // One that ends before it has read all is told by its exit.
  child.stdin.once('error', () => undefined);
  child.stdin.end(input ?? '');
  try {
    const code = await ended.promise;
    return { code, stdout: Buffer.concat(stdout).toString('utf8'), stderr: Buffer.concat(stderr).toString('utf8') };
  } finally {
    clearTimeout(deadline);
  }
}

/** The path of one of Tessera's tools, unmodified; builds it when it is not there. */
export async function tesseraTool(tool: TesseraTool): Promise<string> {
  const folder = join(PROGRAMS_FOLDER, `tessera-${TESSERA_VERSION}`);
  const program = join(folder, tool.split('/').at(-1) ?? '');
  if (!existsSync(program)) await go(['install', `${TESSERA}/${tool}@${TESSERA_VERSION}`], { GOBIN: folder });
  return program;
}

/** The path of `test/go-tlog`, which answers with the code of Go's checksum database. */
export async function goTlog(): Promise<string> {
  const program = join(PROGRAMS_FOLDER, 'go-tlog');
  await go(['-C', join(import.meta.dirname, 'go-tlog'), 'build', '-o', program, '.'], {});
  return program;
}

async function go(args: readonly string[], env: Readonly<Record<string, string>>): Promise<void> {
  const command = findCommand('go');
  if (command === null) throw new Error('there is no go command here');
  mkdirSync(PROGRAMS_FOLDER, { recursive: true });
  const { code, stderr } = await runProgram({ command, args, env, timeoutMs: BUILD_MS_MAX });
  if (code === 0) return;
  const how = code === null ? `did not end within ${BUILD_MS_MAX / 1000} s` : `failed with ${code}`;
  throw new Error(
    `go ${args.join(' ')} ${how}; does the module proxy (go env GOPROXY) answer? ${stderr.slice(-STDERR_CHARS_SHOWN)}`,
  );
}

/** A question to `test/go-tlog`; what each asks and takes is in its source. Hashes are base64. */
export type GoQuestion =
  | {
      readonly do: 'tree' | 'time';
      readonly prefix: string;
      readonly size: number;
      readonly bytes?: number;
      readonly indexes?: readonly number[];
      readonly froms?: readonly number[];
    }
  | {
      readonly do: 'inclusion';
      readonly size: number;
      readonly index: number;
      readonly leafHash: string;
      readonly root: string;
      readonly proof: readonly string[];
    }
  | {
      readonly do: 'consistency';
      readonly size: number;
      readonly from: number;
      readonly fromRoot: string;
      readonly root: string;
      readonly proof: readonly string[];
    }
  | { readonly do: 'open' | 'sign'; readonly key: string; readonly text: string }
  | { readonly do: 'module'; readonly path: string; readonly version: string }
  | {
      readonly do: 'pack';
      readonly path: string;
      readonly version: string;
      readonly dir: string;
      readonly proxy: string;
    };

/** The answer; `error` when Go refused. */
export interface GoAnswer {
  readonly error?: string;
  readonly root?: string;
  readonly inclusion?: readonly (readonly string[])[];
  readonly consistency?: readonly (readonly string[])[];
  readonly text?: string;
  readonly nanoseconds?: number;
}

/** Asks the program of {@link goTlog}; one answer a question, in order. */
export async function askGo(program: string, questions: readonly GoQuestion[]): Promise<readonly GoAnswer[]> {
  const input = questions.map((question) => `${JSON.stringify(question)}\n`).join('');
  const { code, stdout, stderr } = await runProgram({ command: program, args: [], input, timeoutMs: 60_000 });
  const answers = stdout.split('\n').filter((line) => line !== '');
  if (code === 0 && answers.length === questions.length) return answers.map((line) => JSON.parse(line) as GoAnswer);
  throw new Error(`go-tlog ended with ${code} after ${answers.length} answers: ${stderr.slice(-STDERR_CHARS_SHOWN)}`);
}

/** The bytes of entry `index` of a tree of `test/go-tlog`. */
export function goEntry(prefix: string, index: number, bytes = 0): Buffer {
  return Buffer.from(`${prefix} ${index}`.padEnd(bytes));
}
