// key: who signs, and who of them is accepted.
import { type Command, InvalidArgumentError } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { KeyCommand, KeyDocument } from '../engine/index.ts';
import { addAttest } from './attest-command.ts';
import { CliError } from './cli-error.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import type { Output } from './output.ts';
import { readInput } from './run-flags.ts';
import { addVerify } from './verify-command.ts';

/** Adds `key generate | list | trust | rotate | revoke`, `attest` and `verify`. */
export function addKey(program: Command, finish: Finish): void {
  const key = program
    .command('key')
    .summary('generate, list, trust, rotate and revoke keys')
    .addHelpText(
      'before',
      '\nExamples:\n  provost key generate alice && provost key trust alice\n  provost key trust ./bob.pub --name bob --role builder --scope "shop/*"\n  provost key revoke alice --reason "laptop stolen" --last-valid 41\n',
    );
  addGenerate(key, finish);
  addTrust(key, finish);
  addRotateAndRevoke(key, finish);
  addList(key, finish);
  addAttest(program, finish);
  addVerify(program, finish);
}

async function change(context: CliContext, command: KeyCommand, say: (key: KeyDocument) => string): Promise<void> {
  const client = await context.client();
  const key = await client.call<KeyDocument>({ method: 'POST', path: '/v1/keys', body: command });
  if (context.out.json) context.out.object(key);
  else context.out.line(say(key));
}

function addGenerate(key: Command, finish: Finish): void {
  key
    .command('generate')
    .summary('make an Ed25519 key pair; its private half stays in the home, readable by its owner alone')
    .argument('<name>')
    .action(async (name: string, _flags: unknown, command: Command) => {
      await change(contextOf(command), { do: 'generate', name }, (made) => `${made.name} ${made.keyId}`);
      finish(exitStatus.done);
    });
}

interface TrustFlags {
  readonly name?: string;
  readonly role: 'publisher' | 'builder' | 'reviewer' | 'operator';
  readonly scope: string;
  readonly predicateType: readonly string[];
  readonly sinceIndex?: number;
}

const ROLES = ['publisher', 'builder', 'reviewer', 'operator'] as const;

function addTrust(key: Command, finish: Finish): void {
  key
    .command('trust')
    .summary('accept what a key signs: a known key’s name or id, or a file with a public key (PEM)')
    .argument('<key>')
    .option('--name <name>', 'name for a key from a file')
    .option('--role <role>', ROLES.join(' | '), 'publisher')
    .option('--scope <glob>', 'artifact names that it may speak for', '*')
    .option('--predicate-type <uri...>', 'predicate types that it may sign; default those that the role stands for', [])
    .option('--since-index <index>', 'count only what the log has from this index on', indexFlag)
    .action(async (given: string, flags: TrustFlags, command: Command) => {
      if (!ROLES.includes(flags.role)) throw usage(`'${flags.role}' is no role`, `Choose one of ${ROLES.join(', ')}.`);
      const isFile = /[./]/.test(given);
      if (isFile && flags.name === undefined) throw usage('a key from a file needs a name', 'Add --name NAME.');
      const body: KeyCommand = {
        do: 'trust',
        key: isFile ? (flags.name ?? '') : given,
        publicKeyPem: isFile ? readInput(given, 'public key').toString('utf8') : null,
        role: flags.role,
        scope: flags.scope,
        predicateTypes: flags.predicateType,
        sinceIndex: flags.sinceIndex ?? null,
      };
      await change(
        contextOf(command),
        body,
        (key) => `${key.name} is trusted as ${key.trust?.role ?? flags.role} for ${flags.scope}`,
      );
      finish(exitStatus.done);
    });
}

function addRotateAndRevoke(key: Command, finish: Finish): void {
  key
    .command('rotate')
    .summary('replace a key: the old one signs the new one, which takes over its trust')
    .argument('<key>')
    .action(async (given: string, _flags: unknown, command: Command) => {
      await change(contextOf(command), { do: 'rotate', key: given }, (key) => `${key.name} is now ${key.keyId}`);
      finish(exitStatus.done);
    });
  key
    .command('revoke')
    .summary('never accept a key again: what it signed scores 0, also what runs now')
    .argument('<key>')
    .option('--reason <text>', 'for the ledger', 'revoked by a person')
    .option(
      '--last-valid <index>',
      'go on counting what the log has up to this index, whatever times it says',
      indexFlag,
    )
    .action(async (given: string, flags: { reason: string; lastValid?: number }, command: Command) => {
      const { reason, lastValid: lastValidIndex = null } = flags;
      const body: KeyCommand = { do: 'revoke', key: given, reason, lastValidIndex };
      await change(contextOf(command), body, (key) => {
        const last = lastValidIndex === null ? '' : `; what the log has up to index ${lastValidIndex} still counts`;
        return `${key.name} is revoked${last}`;
      });
      finish(exitStatus.done);
    });
}

/** A place in the log, from 0. */
function indexFlag(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('write the index of an entry of the log, like 41');
  return Number(text);
}

function addList(key: Command, finish: Finish): void {
  key
    .command('list')
    .summary('all keys that this home knows')
    .action(async (_flags: unknown, command: Command) => {
      const { out, home } = contextOf(command);
      const { listKeyDocuments } = await import('../engine/index.ts');
      const keys = listKeyDocuments(home.dir);
      if (out.json) for (const one of keys) out.object(one);
      else {
        const rows = keys.map((one) => [
          one.name,
          one.keyId.slice(0, 16),
          standingOf(one, out),
          one.trust?.scope ?? '-',
          one.hasPrivate ? 'yes' : 'no',
          one.created,
        ]);
        out.table(['NAME', 'ID', 'TRUST', 'SCOPE', 'PRIVATE', 'CREATED'], rows);
      }
      finish(exitStatus.done);
    });
}

/** What a key is good for, and up to where. */
function standingOf({ revoked, rotated, trust }: KeyDocument, out: Output): string {
  if (revoked !== null) {
    return out.paint('red', revoked.lastValidIndex === null ? 'revoked' : `revoked after ${revoked.lastValidIndex}`);
  }
  const role = trust?.role ?? 'not trusted';
  return rotated === null ? role : `${role} until ${rotated.logIndex}`;
}

function usage(message: string, hint: string): CliError {
  return new CliError('CLI_USAGE', message, { exit: exitStatus.usage, hint });
}
