// The evaluation of a recording as a table for people.
import type { Share, WindowEvaluation } from './window-evaluation.ts';

/** Targets, in print beside what came out. */
const TARGETS = { open: 0.95, keptOut: 0.9, actionsPerThousand: 1 } as const;

/** Prints every behaviour, then the shares with their targets, then what was found where nothing was. */
export function windowTable({ attacks, falseFindings, behaviours, counts }: WindowEvaluation): string {
  const { containerMinutes, alerts, actions, actionsPerThousand, boundPerThousand } = falseFindings;
  const bound =
    boundPerThousand === null
      ? ''
      : ` (none in so short a time rules out only more than ${boundPerThousand.toFixed(0)})`;
  const normal = counts.train.normalWindows + counts.validation.normalWindows + counts.test.normalWindows;
  const attack = counts.validation.attackWindows + counts.test.attackWindows + counts.keptOut.attackWindows;
  return [
    `${normal + counts.keptOut.normalWindows} normal windows, ${attack} attack windows`,
    '',
    `${'behaviour'.padEnd(21)}${'ATT&CK'.padEnd(11)}${'manner'.padEnd(9)}caught  acted on  by`,
    ...behaviours.map(
      ({ behaviour, technique, manner, keptOut, caught, actedOn, runs, kinds }) =>
        `${`${behaviour}${keptOut ? ' *' : ''}`.padEnd(21)}${technique.padEnd(11)}${manner.padEnd(9)}${`${caught}/${runs}`.padEnd(8)}${`${actedOn}/${runs}`.padEnd(10)}${kinds.join(', ')}`,
    ),
    '* kept out of all tuning',
    '',
    `attack runs, may be tuned to          ${shareText(attacks.validation)}`,
    `attack runs, may not                  ${shareText(attacks.test)}`,
    `both                                  ${shareText(attacks.open)}, target ${percent(TARGETS.open)}`,
    `runs of behaviours kept out           ${shareText(attacks.keptOut)}, target ${percent(TARGETS.keptOut)}`,
    `in ${containerMinutes.toFixed(1)} benign container-minutes: ${actions} false actions, ${alerts} false alerts`,
    `false actions in 1,000 benign minutes ${actionsPerThousand.toFixed(1)}, target ${TARGETS.actionsPerThousand}${bound}`,
  ].join('\n');
}

function shareText({ caught, actedOn, runs }: Share): string {
  const of = (count: number): string => (runs === 0 ? '–' : percent(count / runs));
  return `caught ${of(caught)}, acted on ${of(actedOn)}, of ${runs}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
