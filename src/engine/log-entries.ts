// What the entries of a log must be, by its format: beside the tree, which holds whatever bytes it was given.
import { exitStatus, messageOf } from '../base/index.ts';
import { checkGoRecord, type JournalEntry, type LogFormat } from '../ledger/index.ts';
import { parseLeaf } from '../provenance/index.ts';
import { EngineError } from './errors.ts';

const FORMS: Readonly<Record<LogFormat, { readonly what: string; readonly parse: (entry: Buffer) => unknown } | null>> =
  {
    provost: { what: 'leaf of an attestation or of what a home did', parse: parseLeaf },
    gosum: { what: 'record of a Go module', parse: checkGoRecord },
    raw: null,
  };

/** Answers how an entry of such a log is checked, which throws EngineError ENGINE_LOG_ENTRY; null where it may be any bytes. */
export function entryCheckOf(format: LogFormat): ((entry: JournalEntry) => void) | null {
  const form = FORMS[format];
  if (form === null) return null;
  return ({ index, bytes }) => {
    try {
      form.parse(bytes);
    } catch (error) {
      throw new EngineError('ENGINE_LOG_ENTRY', `entry ${index} of the log is no ${form.what}: ${messageOf(error)}`, {
        exit: exitStatus.verificationFailed,
        hint: `The tree is whole, but a log of the format ${format} holds nothing else: whoever wrote it did not check.`,
        cause: error,
      });
    }
  };
}
