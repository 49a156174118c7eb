// A policy in words, for people: what each part weighs and what each tier is given.
import { formatDuration, formatSize } from '../base/index.ts';
import { componentNames } from '../trust/index.ts';
import type { Policy } from './parse.ts';
import { tierNames } from './tier.ts';

/** Lines for `provost policy show`: weights, caps, tiers, grants, rules and responses, and its digest. */
export function describePolicy(policy: Policy): string {
  return [
    `policy ${policy.name} (${policy.source})`,
    `digest ${policy.digest}`,
    `mode   ${policy.mode}`,
    '',
    ...describeTrust(policy),
    '',
    ...describeTiers(policy),
    '',
    ...policy.rules.map(
      ({ id, when, tierMax }) => `rule ${id}: ${tierMax === undefined ? 'refuse' : `at most ${tierMax}`} when ${when}`,
    ),
    ...policy.responses.map(
      ({ id, on, when, do: actions }) =>
        `response ${id}: on ${on}${when === undefined ? '' : ` when ${when}`}: ${actions.join(', ')}`,
    ),
    '',
  ].join('\n');
}

function describeTrust({ trust }: Policy): string[] {
  const lines: string[] = [];
  for (const name of componentNames) {
    lines.push(`${name} weighs ${trust.components[name]}`);
    for (const { check, weight } of trust.checks) {
      if (check.startsWith(`${name}.`)) lines.push(`  ${check} ${weight}`);
    }
  }
  const { provenanceOnly, unsigned, openHighIncident } = trust.caps;
  const { liftedByCleanMs: lifted, liftedByReview, liftedByReproduction } = provenanceOnly;
  const lifts = [
    ...(lifted === null ? [] : [`${formatDuration(lifted)} of clean activity`]),
    ...(liftedByReview ? ['a review by a second person'] : []),
    ...(liftedByReproduction ? ['a reproduced build'] : []),
  ];
  lines.push(
    `provenance alone scores at most ${provenanceOnly.max}${lifts.length === 0 ? '' : `, until ${lifts.join(' or ')}`}`,
    `unsigned scores at most ${unsigned.max}, with an open incident of high severity at most ${openHighIncident.max}`,
    'revoked or failed verification scores 0',
  );
  return lines;
}

function describeTiers({ tiers, grants, isolation }: Policy): string[] {
  const ranges = {
    high: `score > ${tiers.highAbove}`,
    medium: `${tiers.mediumFrom} ≤ score ≤ ${tiers.highAbove}`,
    low: `score < ${tiers.mediumFrom}`,
  };
  const lines = tierNames.toReversed().map((name) => {
    const given = grants[name];
    const cpu = limitOf(given.cpuShare, given.cpuMillicoresMax === null ? null : `${given.cpuMillicoresMax}m`);
    const memory = limitOf(given.memoryShare, given.memoryBytesMax === null ? null : formatSize(given.memoryBytesMax));
    const rate = given.rateBitsPerSecond === null ? '' : ` ${given.rateBitsPerSecond / 1e6} Mbit/s`;
    return `${name}: ${ranges[name]}: CPU ${cpu}, memory ${memory}, network ${given.network}${rate}, in ${isolation[name].join(' or ')}, ${given.logging} logging`;
  });
  const dwell = formatDuration(tiers.raiseDwellMs);
  return [...lines, `a raise waits ${dwell} at ${tiers.raiseMargin} above the threshold; a fall acts at once`];
}

function limitOf(share: number, max: string | null): string {
  const part = share === 1 ? 'as asked' : `${share * 100} %`;
  return max === null ? part : `${part}, at most ${max}`;
}
