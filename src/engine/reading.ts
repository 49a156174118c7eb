// What only reads: scores, keys and the policy of a home, without a supervisor.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { IncidentDocument, ScoreDocument } from '../api/index.ts';
import { type Artifact, type ContentStore, openContentStore } from '../artifact/index.ts';
import { GIB, MIB, systemClock } from '../base/index.ts';
import { openJournalReader } from '../ledger/index.ts';
import { type Isolation, parsePolicy, type Policy, type ResourceRequest } from '../policy/index.ts';
import { ChainCache, openAttestationStore, openKeyring } from '../provenance/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { explainScore } from '../trust/index.ts';
import { assess } from './assessing.ts';
import { readArtifact } from './admission.ts';
import { copyGrant } from './allocating.ts';
import { CodeMemory } from './code-memory.ts';
import type { DecideContext } from './context.ts';
import { decideNow } from './deciding.ts';
import { defaultOrigins } from './default-origins.ts';
import { probeDrivers } from './drivers.ts';
import { type Home, homeAt } from './home.ts';
import { leavesOfReader } from './log-leaves.ts';
import { type PolicyFile, readHomePolicy } from './policies.ts';
import { PublisherHistory } from './publisher-history.ts';
import { issuerOf } from './recording.ts';

export type Progress = (step: string, ratio: number | null) => void;

export interface ReadOptions {
  readonly homeDir: string;
  readonly reference: string;
  readonly rootfs: boolean;
  readonly progress: Progress;
}

/** A home as commands read it. */
export interface ReadContext extends DecideContext, AsyncDisposable {
  readonly home: Home;
  readonly policy: PolicyFile;
}

/** Opens what a home keeps of artifacts; where there is none, or it may not be written to, they go to a folder that `stack` removes. */
export async function openReadContent(home: Home, stack: AsyncDisposableStack): Promise<ContentStore> {
  const scratch =
    existsSync(home.contentDir) && process.getuid?.() === 0 ? null : mkdtempSync(join(tmpdir(), 'provost-read-'));
  if (scratch !== null) stack.defer(() => rmSync(scratch, { recursive: true, force: true }));
  return openContentStore(scratch ?? home.contentDir);
}

/** Opens a home for reading; it may be missing. */
export async function openReadContext(homeDir: string): Promise<ReadContext> {
  const stack = new AsyncDisposableStack();
  const home = homeAt(homeDir);
  const store = existsSync(home.database) ? stack.use(openStore(home.database, { homeId: home.id })) : null;
  return {
    home,
    policy: readHomePolicy(home.policyFile),
    clock: systemClock,
    content: await openReadContent(home, stack),
    keyring: openKeyring(home.keysDir, issuerOf(home)),
    attestations: openAttestationStore(home.attestationsDir),
    leaves: leavesOfReader(() => openJournalReader(home.logDir)),
    chains: new ChainCache(defaultOrigins()),
    publishers: new PublisherHistory(store),
    incidents: incidentsOf(store),
    memory: new CodeMemory(store),
    isolationAvailable: await isolationsSeen(home),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** What a supervisor here would find. Only root can try; others are told of what a grant would be where every driver works. */
async function isolationsSeen(home: Home): Promise<readonly Isolation[]> {
  if (process.getuid?.() !== 0) return ['container', 'gvisor'];
  return (await probeDrivers(home, { remember: existsSync(home.cacheDir) })).isolationAvailable;
}

/** Incidents by id, oldest first. */
export function incidentsOf(store: Store | null): Map<string, IncidentDocument> {
  const rows = (store?.incidents.list() ?? []).toSorted((a, b) => a.openedMs - b.openedMs);
  return new Map(rows.map((row) => [row.id, row.document as IncidentDocument]));
}

/** What `run` asks for when it says nothing: the request that a bare score's grant is made from. */
export const defaultRequest: ResourceRequest = {
  cpuMillicores: 1000,
  memoryBytes: 512 * MIB,
  diskBytes: GIB,
  pids: 512,
  timeMs: null,
  ports: [],
  mounts: [],
};

/** The score of an artifact, as `score --json` prints it. */
export async function scoreDocumentOf(
  context: DecideContext,
  artifact: Artifact,
  policy: Policy,
): Promise<ScoreDocument> {
  const { findings, verification } = await assess(context, artifact, policy);
  const known = { name: artifact.name, artifact, publishers: verification.publishers, policy, findings };
  const subject = { ...known, request: defaultRequest, override: null, tierState: null, bound: null };
  const { outcome } = decideNow(context, subject, null);
  const { score, decision } = outcome;
  const { digest, kind, name } = artifact;
  return {
    artifact: { digest, kind, name },
    score: score.score,
    tier: decision.tier,
    components: structuredClone(score.components) as ScoreDocument['components'],
    caps: [...score.caps],
    grant: decision.kind === 'granted' ? copyGrant(decision.grant) : null,
    ...(decision.kind === 'refused' ? { refusal: [...decision.reasons] } : {}),
    raise: [...explainScore(policy.weights, score)],
  };
}

/** Scores an artifact without a supervisor. */
export async function scoreArtifact(options: ReadOptions): Promise<ScoreDocument> {
  await using context = await openReadContext(options.homeDir);
  const artifact = await readArtifact(context, options, options.progress);
  return scoreDocumentOf(context, artifact, context.policy.policy);
}

/** Parses a policy as the supervisor would. */
export function checkPolicy(text: string, source: string): { readonly source: string; readonly digest: string } {
  const { digest } = parsePolicy(text, source);
  return { source, digest };
}

/** The policy that this home's supervisor uses. */
export function policyInForce(homeDir: string): {
  readonly source: string;
  readonly digest: string;
  readonly text: string;
  readonly document: unknown;
} {
  const { policy, text } = readHomePolicy(homeAt(homeDir).policyFile);
  const { source, digest, canonical } = policy;
  return { source, digest, text, document: JSON.parse(canonical) as unknown };
}
