// Replay: past decisions recomputed from what was recorded of their input. No detector runs again, and no clock is read.
import { existsSync } from 'node:fs';

import { openContentStore, parseDigest } from '../artifact/index.ts';
import { canonicalJson, exitStatus, messageOf } from '../base/index.ts';
import { openJournalReader } from '../ledger/index.ts';
import { parseLeaf } from '../provenance/index.ts';
import { computeDecision, type DecisionInput, type DecisionOutcome } from './deciding.ts';
import { EngineError } from './errors.ts';
import { homeAt } from './home.ts';
import { Policies, readHomePolicy } from './policies.ts';
import { documentTypes } from './recording.ts';

export interface Replayed {
  readonly index: number;
  readonly workload: string;
  readonly score: number;
  readonly same: boolean;
  /** What differs, each with the recorded and the recomputed value. */
  readonly differences: readonly string[];
}

interface DecisionDocument {
  readonly workload: string;
  readonly policy: string;
  readonly input: DecisionInput;
  readonly outcome: DecisionOutcome;
}

/**
 * Recomputes every decision of a home's journal, in order.
 *
 * @throws EngineError ENGINE_REPLAY when an entry's document is gone or is not what the entry names; LedgerError for the journal itself
 */
export async function* replayDecisions(options: {
  readonly homeDir: string;
  readonly workload: string | null;
}): AsyncGenerator<Replayed> {
  if (!existsSync(options.homeDir)) return;
  const home = homeAt(options.homeDir);
  const content = await openContentStore(home.contentDir);
  const policies = new Policies(readHomePolicy(home.policyFile), content);
  for await (const entry of openJournalReader(home.logDir).entries()) {
    const leaf = parseLeaf(entry.bytes);
    if (leaf.document.type !== documentTypes.decision) continue;
    const document = await readDocument(content, leaf.document.digest, entry.index);
    if (options.workload !== null && document.workload !== options.workload) continue;
    const policy = await policies.load(document.policy);
    yield compare(entry.index, document, computeDecision(policy, document.input));
  }
}

async function readDocument(
  content: Awaited<ReturnType<typeof openContentStore>>,
  digest: string,
  index: number,
): Promise<DecisionDocument> {
  try {
    // The store checks the digest: the bytes that are replayed are those that were logged.
    return JSON.parse((await content.get(parseDigest(digest))).toString('utf8')) as DecisionDocument;
  } catch (error) {
    throw new EngineError('ENGINE_REPLAY', `the document of entry ${index} cannot be read: ${messageOf(error)}`, {
      exit: exitStatus.verificationFailed,
      hint: 'The content store was changed or lost: restore it from a backup.',
      cause: error,
    });
  }
}

function compare(index: number, document: DecisionDocument, outcome: DecisionOutcome): Replayed {
  const differences: string[] = [];
  for (const part of ['score', 'runtime', 'decision'] as const) {
    const recorded = canonicalJson(document.outcome[part]);
    const recomputed = canonicalJson(outcome[part]);
    if (recorded !== recomputed)
      differences.push(`${part}: recorded ${recorded.slice(0, 300)}, recomputed ${recomputed.slice(0, 300)}`);
  }
  return {
    index,
    workload: document.workload,
    score: outcome.score.score,
    same: differences.length === 0,
    differences,
  };
}
