// A home for a bench: an engine in this very process, with a signed image of busybox that it knows already.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainRequest, type RunRequest, type WorkloadDocument } from '../src/api/index.ts';
import { GIB, MIB } from '../src/base/index.ts';
import { type Engine, openEngine, openHome } from '../src/engine/index.ts';
import { writeBusyboxImage } from '../test/busybox-image.ts';

export interface BenchHome extends AsyncDisposable {
  readonly engine: Engine;
  readonly dir: string;
  /** Folder of the image's root file system. */
  readonly rootDir: string;
  request(part: Partial<RunRequest>): RunRequest;
  /** The bundle of a running workload, as its driver wrote it. */
  bundleOf(workload: WorkloadDocument): string;
}

/** Opens it; disposing ends all workloads and removes it. */
export async function openBenchHome(): Promise<BenchHome> {
  const dir = mkdtempSync(join(tmpdir(), 'provost-bench-'));
  const image = join(dir, 'image');
  writeBusyboxImage({ dir: image, config: { user: '0' } });
  const home = openHome(join(dir, 'home'));
  const engine = await openEngine({ home });
  const reference = `oci:${image}`;
  await engine.changeKeys({ do: 'generate', name: 'bench' });
  await engine.changeKeys({
    do: 'trust',
    key: 'bench',
    publicKeyPem: null,
    role: 'publisher',
    scope: '*',
    predicateTypes: [],
  });
  const predicateType = 'https://provost.dev/attestation/release/v1';
  await engine.attest({ reference, rootfs: false, predicateType, predicate: {}, key: 'bench' });
  return {
    engine,
    dir,
    rootDir: join(image, 'root'),
    request: (part) => ({ ...defaults, artifact: { reference, rootfs: false }, ...part }),
    bundleOf: ({ instance }) => join(home.runDir, instance ?? '', 'bundle'),
    async [Symbol.asyncDispose]() {
      await engine.stopAll();
      await engine[Symbol.asyncDispose]();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const defaults: Omit<RunRequest, 'artifact'> = {
  ...plainRequest,
  cpuMillicores: 2000,
  memoryBytes: 512 * MIB,
  diskBytes: GIB,
  pids: 512,
  stopTimeoutMs: 0,
};

/** Writes a copy of a bundle's configuration with another command and another group, into a folder of its own. */
export function copyBundle(bundle: string, target: string, argv: readonly string[]): void {
  const config = JSON.parse(readFileSync(join(bundle, 'config.json'), 'utf8')) as {
    process: { args: readonly string[] };
    linux: { cgroupsPath: string };
  };
  config.process.args = argv;
  config.linux.cgroupsPath = `/provost/${config.linux.cgroupsPath.split('/')[2]}/bare`;
  writeFileSync(join(target, 'config.json'), JSON.stringify(config));
}

/** Milliseconds from starting a command until it writes its first byte; resolves once it has ended. */
export async function firstByteMs(command: string, args: readonly string[]): Promise<number> {
  const startMs = performance.now();
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let first: number | null = null;
  let complaint = '';
  child.stdout.on('data', () => (first ??= performance.now() - startMs));
  child.stderr.on('data', (bytes: Buffer) => (complaint += bytes.toString('utf8')));
  await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (first === null) throw new Error(`${command} ${args.join(' ')} wrote nothing: ${complaint.slice(0, 500)}`);
  return first;
}
