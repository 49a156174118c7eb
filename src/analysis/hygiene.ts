// Image hygiene: what an image's configuration and files say before it ever runs. Pure; the facts are gathered while unpacking.
import type { Artifact, LayerFacts } from '../artifact/index.ts';
import type { Evidence } from '../trust/index.ts';
import { judgeAge } from './age.ts';
import { judgeElevation } from './elevation.ts';
import { judgeSearchPath } from './search-path.ts';
import { judgeSecrets } from './secrets.ts';
import { judgeUser } from './user.ts';

/** What one check answers. */
export interface Judgement {
  /** 0 (bad) to 1 (good). */
  readonly score: number;
  /** One clause, for people. */
  readonly reason: string;
}

/** What hygiene is judged by. */
export interface HygieneInput {
  readonly artifact: Pick<Artifact, 'digest' | 'kind' | 'config'>;
  /** One a layer, lowest first; null for a layer whose files were not examined. */
  readonly facts: readonly (LayerFacts | null)[];
  readonly nowMs: number;
}

/** The checks that this room answers, in the order of its evidence. */
export const hygieneChecks = ['base.user', 'base.setuid', 'base.secrets', 'base.path', 'base.age'] as const;

type HygieneCheck = (typeof hygieneChecks)[number];

/**
 * Judges an artifact's hygiene: exactly one piece of evidence for each of {@link hygieneChecks}. What was not examined, or what
 * an artifact does not say, scores 0 and says so.
 */
export function hygieneEvidence(input: HygieneInput): Evidence[] {
  const judgements =
    input.artifact.kind === 'image' || input.artifact.kind === 'rootfs' ? judge(input) : unexamined(input);
  return hygieneChecks.map((check) => ({
    check,
    ...judgements[check],
    source: input.artifact.digest,
    expiresMs: null,
  }));
}

function judge({ artifact, facts: given, nowMs }: HygieneInput): Record<HygieneCheck, Judgement> {
  const { config } = artifact;
  const known = given.filter((layer) => layer !== null);
  // One unseen layer can hide anything; without layers there is nothing that was seen.
  const facts = known.length === given.length && known.length > 0 ? known : null;
  const unseen = { score: 0, reason: 'its files were not examined' };
  return {
    'base.user': judgeUser(config.user),
    'base.setuid': facts === null ? unseen : judgeElevation(facts),
    'base.secrets': facts === null ? unseen : judgeSecrets(facts),
    'base.path': facts === null ? unseen : judgeSearchPath(config.env, facts),
    'base.age': judgeAge(config.createdMs, nowMs),
  };
}

function unexamined({ artifact }: HygieneInput): Record<HygieneCheck, Judgement> {
  const what = artifact.kind === 'host' ? "the host's own root" : `a ${artifact.kind}`;
  const judgement = { score: 0, reason: `${what} says nothing of its making and is not examined` };
  return {
    'base.user': judgement,
    'base.setuid': judgement,
    'base.secrets': judgement,
    'base.path': judgement,
    'base.age': judgement,
  };
}
