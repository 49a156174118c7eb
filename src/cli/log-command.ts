// log: transparency logs, of this home and others: make, serve, prove from, check, mirror and witness.
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { Command } from 'commander';

import { exitStatus, parseDuration, ProvostError } from '../base/index.ts';
import type { CheckpointDocument, LogTrust } from '../engine/index.ts';
import { CliError } from './cli-error.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { addLogDocument } from './log-document-command.ts';
import { addLogServers } from './log-servers-command.ts';
import { printable } from './output.ts';
import { readInput, writeOutput } from './run-flags.ts';

const EXAMPLES = `
Examples:
  provost log verify                                          the log of this home, whole
  provost log init ./releases --origin example.com/releases --format raw && provost log serve ./releases
  provost log init ./sum --origin sum.example.com --format gosum    a checksum database for the go command
  provost log prove http://127.0.0.1:7440 --key KEY --entry app.sha256 --out app.tlog-proof
  provost log verify --receipt app.tlog-proof --entry app.sha256 --key KEY
  provost log mirror http://127.0.0.1:7440 ./copy --key KEY --follow 10s
`;

interface TrustFlags {
  readonly key?: string;
  readonly witnessKey: readonly string[];
  readonly quorum: string;
}

/** Adds `log init | serve | checkpoint | prove | verify | mirror | document | witness`. */
export function addLog(program: Command, finish: Finish): void {
  const log = program
    .command('log')
    .summary('transparency logs: make, serve, prove from, check, mirror and witness')
    .addHelpText('before', EXAMPLES);
  addInit(log, finish);
  addCheckpoint(log, finish);
  addProve(log, finish);
  addVerify(log, finish);
  addMirror(log, finish);
  addLogDocument(log, finish);
  addLogServers(log, finish);
}

function addInit(log: Command, finish: Finish): void {
  log
    .command('init')
    .summary('make a log, with a key of its own, in a folder')
    .argument('<dir>')
    .option(
      '--origin <name>',
      'its name for ever, such as example.com/releases; this host and the folder when left out',
    )
    .option(
      '--format <format>',
      'what it takes: provost (verified attestations), raw (any bytes) or gosum (records of Go modules)',
      'provost',
    )
    .action(async (dir: string, flags: { origin?: string; format: string }, command: Command) => {
      const { out } = contextOf(command);
      const { defaultOrigin, makePublicLog, parseLogFormat } = await import('../engine/index.ts');
      const format = parseLogFormat(flags.format);
      const origin = flags.origin ?? defaultOrigin(resolve(dir));
      const key = makePublicLog(resolve(dir), origin, format);
      if (out.json) out.object({ dir: resolve(dir), origin, format, key });
      else out.line(key);
      out.message(`publish this key: whoever checks the log needs it. Serve it with provost log serve ${dir}`);
      finish(exitStatus.done);
    });
}

/** Flags that say whom a log is believed with. */
function withTrust(command: Command): Command {
  return command
    .option('--key <key>', 'public key of the log: NAME+ID+BASE64; of a folder its key.pub')
    .option('--witness-key <key...>', 'public keys of witnesses', [])
    .option('--quorum <n>', 'witnesses that must have cosigned', '0');
}

function trustOf({ key, witnessKey, quorum }: TrustFlags): LogTrust {
  const count = Number(quorum);
  if (Number.isInteger(count) && count >= 0 && count <= witnessKey.length)
    return { key: key ?? null, witnesses: witnessKey, quorum: count };
  throw new CliError('CLI_USAGE', `a quorum of '${quorum}' among ${witnessKey.length} witnesses cannot be met`, {
    exit: exitStatus.usage,
    hint: 'Give a --witness-key for each witness.',
  });
}

/** A log's folder or URL; without one the log of this home. */
function targetOf(context: CliContext, given: string | undefined): string {
  if (given === undefined) return join(context.home.dir, 'log');
  return /^https?:\/\//.test(given) ? given : resolve(given);
}

function printCheckpoint({ out }: CliContext, checkpoint: CheckpointDocument, what: string): void {
  if (out.json) return out.object(checkpoint);
  out.line(`${printable(checkpoint.origin)}: ${checkpoint.size} entries, root ${checkpoint.root}`);
  for (const { witness, time } of checkpoint.cosigned) out.line(`  cosigned by ${printable(witness)} at ${time}`);
  if (what !== '') out.message(what);
}

function addCheckpoint(log: Command, finish: Finish): void {
  withTrust(
    log.command('checkpoint').summary('the signed head of a log, verified').argument('[log]', 'folder or URL'),
  ).action(async (given: string | undefined, flags: TrustFlags, command: Command) => {
    const context = contextOf(command);
    const { readCheckpoint } = await import('../engine/index.ts');
    printCheckpoint(context, await readCheckpoint(targetOf(context, given), trustOf(flags)), '');
    finish(exitStatus.done);
  });
}

interface ProveFlags extends TrustFlags {
  readonly index?: string;
  readonly entry?: string;
  readonly out?: string;
}

function addProve(log: Command, finish: Finish): void {
  withTrust(
    log
      .command('prove')
      .summary('a receipt that an entry is in a log: checked later without the log')
      .argument('[log]', 'folder or URL'),
  )
    .option('--index <n>', 'the entry by its index')
    .option('--entry <file>', 'the entry by its bytes')
    .option('--out <file>', 'write the receipt here instead of printing it')
    .action(async (given: string | undefined, flags: ProveFlags, command: Command) => {
      const context = contextOf(command);
      const { proveEntry } = await import('../engine/index.ts');
      const receipt = await proveEntry(targetOf(context, given), wantedEntry(flags), trustOf(flags));
      if (flags.out !== undefined)
        writeOutput(flags.out, receipt, {
          what: 'receipt',
          hint: 'Give --out a file in a folder that you may write to.',
        });
      else if (context.out.json) context.out.object({ receipt: receipt.toString() });
      else process.stdout.write(receipt);
      finish(exitStatus.done);
    });
}

function wantedEntry({ index, entry }: ProveFlags): number | Uint8Array {
  if (index !== undefined && entry === undefined && /^\d{1,15}$/.test(index)) return Number(index);
  if (entry !== undefined && index === undefined) return readInput(entry, 'entry');
  throw new CliError('CLI_USAGE', 'give either the index or the bytes of an entry', {
    exit: exitStatus.usage,
    hint: 'provost log prove --index 7, or --entry FILE',
  });
}

interface VerifyFlags extends TrustFlags {
  readonly receipt?: string;
  readonly entry?: string;
  readonly format?: string;
}

function addVerify(log: Command, finish: Finish): void {
  withTrust(
    log
      .command('verify')
      .summary('check every entry of a log; or, offline, one entry by its receipt')
      .argument('[log]', 'folder or URL'),
  )
    .option('--receipt <file>', 'a receipt, with --entry')
    .option('--entry <file>', 'the entry that it is for')
    .option('--format <format>', 'what entries must be: provost, raw or gosum; of a folder what it says')
    .action(async (given: string | undefined, flags: VerifyFlags, command: Command) => {
      const context = contextOf(command);
      const engine = await import('../engine/index.ts');
      if (flags.receipt !== undefined && flags.entry !== undefined) {
        const [receipt, entry] = [readInput(flags.receipt, 'receipt'), readInput(flags.entry, 'entry')];
        const verified = engine.checkReceipt(receipt, entry, trustOf(flags));
        if (context.out.json) context.out.object(verified);
        else context.out.line(`entry ${verified.index} of ${printable(verified.origin)}`);
      } else {
        const progress = (done: number, of: number): void =>
          context.out.progress('checking entries', of === 0 ? 1 : done / of);
        const format = flags.format === undefined ? null : engine.parseLogFormat(flags.format);
        const audit = { trust: trustOf(flags), format };
        const verified = await engine.verifyLog(targetOf(context, given), audit, progress);
        context.out.done();
        printCheckpoint(context, verified, 'every entry and tile is what the checkpoint commits to');
      }
      finish(exitStatus.done);
    });
}

interface MirrorFlags extends TrustFlags {
  readonly follow?: string;
}

function addMirror(log: Command, finish: Finish): void {
  withTrust(
    log
      .command('mirror')
      .summary('copy a log, every entry checked; a log that went back or forked exits 4')
      .argument('<log>', 'folder or URL')
      .argument('<dir>'),
  )
    .option('--follow <time>', 'go on, and look again after this time')
    .action(async (given: string, dir: string, flags: MirrorFlags, command: Command) => {
      const context = contextOf(command);
      const { mirrorLog } = await import('../engine/index.ts');
      const everyMs = flags.follow === undefined ? null : parseDuration(flags.follow);
      const options = { target: targetOf(context, given), dir: resolve(dir), trust: trustOf(flags) };
      for (;;) {
        const checkpoint = await mirrorLog(options, (done, of) =>
          context.out.progress('copying entries', done / of),
        ).catch((error: unknown) => showEvidence(context, error));
        context.out.done();
        printCheckpoint(context, checkpoint, '');
        if (everyMs === null) break;
        await delay(everyMs);
      }
      finish(exitStatus.done);
    });
}

/** Two checkpoints that contradict each other, both signed by the log, are what others must see. */
function showEvidence({ out }: CliContext, error: unknown): never {
  out.done();
  if (error instanceof ProvostError && !out.json && typeof error.details['ours'] === 'string')
    process.stdout.write(`${error.details['ours']}\n${String(error.details['theirs'])}`);
  throw error;
}
