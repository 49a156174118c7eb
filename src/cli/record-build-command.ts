// record build: runs a build, and signs what went in, what was done, and what came out.
import { resolve } from 'node:path';
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { BuildReport, RecordedStatement } from '../engine/index.ts';
import { addBuildLimits, buildHost } from './build-runner.ts';
import { commandAfter } from './command-runner.ts';
import { contextOf, type Finish } from './context.ts';
import { type Output, printable } from './output.ts';
import { absoluteReference } from './run-flags.ts';
import { VERSION } from './version.ts';
import { shortDigest } from './words.ts';

const EXAMPLES = `
Examples:
  provost record build --key ci -- make dist/app
  provost record build --key ci --isolated --fetch "npm ci" --product dist -- npm run build
  provost record build --key ci --product oci:image -- ./build-image.sh
`;

/** Products that a person reads; --json has them all. */
const PRODUCTS_SHOWN_MAX = 20;

interface BuildFlags {
  readonly key: string;
  readonly workdir: string;
  readonly isolated?: boolean;
  readonly fetch?: string;
  readonly product: readonly string[];
  readonly material: readonly string[];
  readonly allowDirty?: boolean;
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

/** Adds `record build`. */
export function addRecordBuild(record: Command, finish: Finish): void {
  const build = record
    .command('build')
    .summary('run a build and sign its provenance: commit, lockfiles, environment, command, products')
    .argument('[command...]', 'the command after --; it is recorded as it is, so keep secrets out of it')
    .requiredOption('--key <name>', 'the key that signs')
    .option('--workdir <dir>', 'where it runs, in a git work tree', '.')
    .option('--isolated', 'run it in a sandbox: no network, this host’s root read-only, the work tree at /build')
    .option('--fetch <line>', 'run this line of the shell on the host before: npm ci, go mod download')
    .option(
      '--product <ref>',
      'what it makes; may be repeated (default: new files that git does not track)',
      collect,
      [],
    )
    .option('--material <ref>', 'what else goes in, such as a base image; may be repeated', collect, [])
    .option('--allow-dirty', 'build although the work tree is not what the commit says; the statement says so');
  addBuildLimits(build)
    .addHelpText('before', EXAMPLES)
    .action(async (argv: string[], flags: BuildFlags, command: Command) => {
      const context = contextOf(command);
      const { out } = context;
      // It makes the home; by the end of a long build it may have left.
      await context.client();
      const { recordBuild } = await import('../engine/index.ts');
      const options = {
        homeDir: context.home.dir,
        dir: resolve(flags.workdir),
        command: commandAfter(argv, 'provost record build --key ci -- make'),
        isIsolated: flags.isolated === true,
        fetch: flags.fetch ?? null,
        products: flags.product.map(fromWorkFolder),
        materials: flags.material.map((name) => ({ name, reference: absoluteReference(name) })),
        mayBeDirty: flags.allowDirty === true,
        key: flags.key,
        version: VERSION,
        environment: process.env,
        progress: (step: string, ratio: number | null) => out.progress(step, ratio),
      };
      const built = await recordBuild(options, buildHost(context, flags));
      out.done();
      if (built.kind === 'failed') {
        if (out.json) out.object({ status: built.status, statements: [] });
        out.message(`the command failed with ${built.status}; nothing is recorded`);
        return finish(built.status);
      }
      const { statements } = built.report;
      const client = await context.client();
      const recorded = await client.call<RecordedStatement[]>({
        method: 'POST',
        path: '/v1/statements',
        body: { key: flags.key, statements },
      });
      print(out, built.report, { recorded, key: flags.key, isFound: flags.product.length === 0 });
      finish(exitStatus.done);
    });
}

/** Adds one more value of a flag that may be repeated. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

/** A product stays as it was written, from the work folder: so it is found in another checkout too. */
function fromWorkFolder(reference: string): string {
  return reference.replace(/^\.\/(?=.)/, '').replace(/(?<=.)\/+$/, '');
}

interface Printed {
  readonly recorded: readonly RecordedStatement[];
  readonly key: string;
  readonly isFound: boolean;
}

function print(out: Output, report: BuildReport, { recorded, key, isFound }: Printed): void {
  const { commit, builder, isClean, products, materials } = report;
  const entries = recorded.map(({ logIndex }) => logIndex);
  if (isFound) out.message('products are the files that the command made or changed and git does not track');
  if (!isClean) out.message('the work tree was not what the commit says; the statement says so');
  if (out.json) return out.object({ commit, builder, isClean, products, materials, statements: recorded });
  for (const { name, digest } of products.slice(0, PRODUCTS_SHOWN_MAX))
    out.line(`${shortDigest(digest)}  ${printable(name)}`);
  const more = products.length - PRODUCTS_SHOWN_MAX;
  if (more > 0) out.line(`… and ${more} more; --json has them all`);
  const which = entries.length === 1 ? `entry ${entries[0]}` : `entries ${entries.join(', ')}`;
  out.line(`built from ${commit.slice(0, 12)} and ${materials.length} materials by ${builder}`);
  out.line(`signed with ${printable(key)} (${which})`);
}
