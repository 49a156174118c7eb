// base.secrets: keys and tokens that were left in any layer, also in one that a later layer hides.
import type { LayerFacts, SecretFinding, SecretKind } from '../artifact/index.ts';
import type { Judgement } from './hygiene.ts';

/** A key or token is worth nothing once it is in an image: everybody who can pull it has it. */
const LEAKED_SCORE = 0;

/** A settings file may hold no secret at all. */
const SUSPECT_SCORE = 0.4;

/** Keys in a package's own tests are public by intent. */
const FIXTURE_SCORE = 0.8;

/** What cannot be said of findings beyond those that are listed: taken for leaked. */
const UNLISTED_SCORE = LEAKED_SCORE;

const SUSPECT_KINDS: ReadonlySet<SecretKind> = new Set<SecretKind>(['env-file', 'docker-credentials']);

/** Folders of packages' tests and examples below a distribution's or a package manager's library folders. */
const FIXTURE = /^(usr\/(local\/)?)?(lib|share)\/.*\/(tests?|testing|testdata|fixtures|examples?)\//;

/** Judges the secrets that were found; the worst decides. */
export function judgeSecrets(facts: readonly LayerFacts[]): Judgement {
  // No removal counts here: a lower layer is pulled with its secret although an upper one hides it.
  const found = facts.flatMap((layer) => layer.secrets.found);
  const count = facts.reduce((sum, layer) => sum + layer.secrets.count, 0);
  if (count === 0) return { score: 1, reason: 'no keys or tokens found in its layers' };
  const worst = found.reduce<SecretFinding | null>(
    (best, one) => (best === null || scoreOf(one) < scoreOf(best) ? one : best),
    null,
  );
  const score = Math.min(worst === null ? 1 : scoreOf(worst), count > found.length ? UNLISTED_SCORE : 1);
  const where = worst === null ? '' : `, such as a ${worst.kind} at /${worst.path.slice(0, 80)}`;
  return { score, reason: `${count} ${count === 1 ? 'file seems' : 'files seem'} to hold a secret${where}` };
}

function scoreOf({ kind, path }: SecretFinding): number {
  if (FIXTURE.test(path)) return FIXTURE_SCORE;
  return SUSPECT_KINDS.has(kind) ? SUSPECT_SCORE : LEAKED_SCORE;
}
