// build.environment: what the findings in build files are worth as evidence.
import type { Evidence } from '../../trust/index.ts';
import { type BuildFileFinding, compareByWorst, type Severity, shown } from './finding.ts';
import type { BuildFileJudgement } from './judge.ts';

/** The checks that build files answer. */
export const buildFileChecks = ['build.environment'] as const;

/**
 * What the first finding of a rule costs. One that anybody can use to take over the build leaves nothing; three that take one
 * more step, or ten weaknesses of kinds that most repositories have, neither.
 */
const COSTS: Readonly<Record<Severity, number>> = { critical: 1, high: 0.35, medium: 0.1, low: 0.03 };

/** The same mistake again is one habit, not a new hole: each repetition costs this part of the first, up to a limit. */
const REPETITION_PART = 0.25;
const REPETITIONS_MAX = 4;

/** A reader acts on the worst few. */
const NAMED_MAX = 5;

/**
 * Scores build files: one piece of evidence for each of {@link buildFileChecks}. 1 without findings; less for each, the more the
 * worse it is; 0 with a critical one, and when there were no build files to judge.
 *
 * @param source what the files belong to: the digest of the source tree or artifact
 */
export function scoreBuildFiles(judgement: BuildFileJudgement, source: string): Evidence[] {
  return buildFileChecks.map((check) => ({
    check,
    score: scoreOf(judgement),
    reason: reasonOf(judgement),
    source,
    expiresMs: null,
  }));
}

function scoreOf({ findings, paths }: BuildFileJudgement): number {
  if (paths.length === 0) return 0;
  const counts = new Map<string, { severity: Severity; count: number }>();
  for (const { rule, severity } of findings) counts.set(rule, { severity, count: (counts.get(rule)?.count ?? 0) + 1 });
  // In a fixed order, so that the sum has the same bits whatever came first.
  const cost = [...counts.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .reduce((sum, [, { severity, count }]) => {
      const repetitions = Math.min(count - 1, REPETITIONS_MAX);
      return sum + COSTS[severity] * (1 + REPETITION_PART * repetitions);
    }, 0);
  return Math.max(0, 1 - cost);
}

function reasonOf({ findings, paths }: BuildFileJudgement): string {
  const files = `${paths.length} build file${paths.length === 1 ? '' : 's'}`;
  if (paths.length === 0) return 'no Dockerfile and no CI workflow was there to judge';
  if (findings.length === 0) return `nothing was found in ${files}`;
  const named = findings.toSorted(compareByWorst).slice(0, NAMED_MAX).map(placeOf);
  const count = `${findings.length} finding${findings.length === 1 ? '' : 's'} in ${files}`;
  return `${count}: ${named.join('; ')}${findings.length > NAMED_MAX ? '; and more' : ''}`;
}

function placeOf({ severity, rule, path, line }: BuildFileFinding): string {
  return `${severity} ${rule} at ${shown(path)}:${line}`;
}
