// Logs and witnesses that this process writes, for others: what each is opened with, by what it takes.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus } from '../base/index.ts';
import {
  type GoSumLog,
  makeSignerKey,
  openGoSumLog,
  openHostDisk,
  openPublicLog,
  openWitness,
  parseCosignerKey,
  parseVerifierKey,
  type PublicLog,
  publicKeyOf,
  readLogFormat,
  type Witness,
  type WitnessAddress,
} from '../ledger/index.ts';
import { type EnvelopeLog, openEnvelopeLog } from './admitting-envelopes.ts';
import { EngineError } from './errors.ts';

/** How the names of homes' logs begin. */
export const HOME_ORIGIN = 'provost/home/';

/** A witness on the command line: URL=KEY. @throws LedgerError LEDGER_KEY; EngineError ENGINE_LOG */
function parseWitness(text: string): WitnessAddress {
  const at = text.indexOf('=');
  if (!/^https?:\/\//.test(text) || at < 0) {
    throw new EngineError('ENGINE_LOG', `'${text.slice(0, 80)}' is no witness`, {
      exit: exitStatus.usage,
      hint: 'Give its URL and its key: http://127.0.0.1:7441=NAME+ID+BASE64',
    });
  }
  return { url: text.slice(0, at), key: parseVerifierKey(text.slice(at + 1)) };
}

/** How a log is served. */
export interface LogOptions {
  readonly dir: string;
  readonly witnesses: readonly WitnessAddress[];
  readonly quorum: number;
  /** The home whose trusted keys a log of envelopes takes them by. */
  readonly homeDir: string;
}

/** A log that is open for writing, by what it takes. */
export type ServedLog =
  | { readonly format: 'provost'; readonly log: EnvelopeLog }
  | { readonly format: 'raw'; readonly log: PublicLog }
  | { readonly format: 'gosum'; readonly log: GoSumLog };

/** Opens a log for serving. @throws as `openPublicLog`; LedgerError LEDGER_FORMAT; EngineError ENGINE_LOG for the log of a home */
export async function serveLog(
  options: Omit<LogOptions, 'witnesses'> & { readonly witnesses: readonly string[] },
): Promise<ServedLog> {
  refuseHomeLog(options.dir);
  const opened = { ...options, witnesses: options.witnesses.map(parseWitness) };
  const format = readLogFormat(options.dir);
  switch (format) {
    case 'provost':
      return { format, log: await openEnvelopeLog(opened) };
    case 'raw':
      return { format, log: await openPublicLog(opened) };
    case 'gosum':
      return { format, log: await openGoSumLog(opened) };
    default:
      return format satisfies never;
  }
}

/** What it takes belongs to the home as well, which this process would not tell. */
function refuseHomeLog(dir: string): void {
  if (publicKeyOf(dir)?.startsWith(HOME_ORIGIN) !== true) return;
  throw new EngineError('ENGINE_LOG', `${dir} is the log of a home, which its supervisor serves`, {
    exit: exitStatus.usage,
    hint: 'provost serve --listen HOST:PORT serves it under /log/, and takes attestations at /log/add.',
  });
}

/** Opens a witness in `dir` that cosigns the logs with these keys, making its own key under `name` when it has none. */
export function openWitnessAt(
  dir: string,
  { name, logs }: { readonly name: string; readonly logs: readonly string[] },
): { readonly witness: Witness; readonly key: string } {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, 'key');
  if (!existsSync(file)) writeFileSync(file, `${makeSignerKey(name)}\n`, { mode: 0o600, flag: 'wx' });
  const signer = parseCosignerKey(readFileSync(file, 'utf8'), () => Math.floor(Date.now() / 1000));
  const keys = logs.map(parseVerifierKey);
  const byOrigin = new Map(keys.map((key) => [key.name, keys.filter((other) => other.name === key.name)]));
  const witness = openWitness({ disk: openHostDisk(), dir: join(dir, 'logs'), signer, logs: byOrigin });
  return { witness, key: signer.verifier.text };
}
