// What is normal for an artifact, as people read it.
import type { BaselineDocument } from '../api/index.ts';
import { formatSize } from '../base/index.ts';
import { type Output, printable } from './output.ts';

/** Names of one kind that are shown; --json has all. */
const SHOWN_MAX = 12;

/** Prints one baseline. */
export function printBaseline(out: Output, one: BaselineDocument): void {
  out.line(`${out.paint('bold', printable(one.artifact.name))}  ${one.artifact.digest}`);
  const state = one.isJudging ? `judges new windows among ${one.ranked}` : 'still learning: calls nothing unusual yet';
  row(out, 'sandbox', `${one.driver} (${one.architecture})`);
  row(out, 'learnt', `${one.windows} windows; ${state}`);
  row(out, 'calls', listed(one.calls));
  row(out, 'programs', listed(one.programs));
  row(out, 'talks to', listed(one.destinations));
  row(out, 'files', listed(one.files));
  for (const { name, normal } of one.amounts) row(out, 'normal', `up to ${amountText(name, normal)}`);
  for (const { name, low, high } of one.shares) row(out, 'share', `${percent(low)} to ${percent(high)} ${name}`);
  row(out, 'runs', `${one.runs.seen} kinds of three calls in a row, ${one.runs.again} more than once`);
  row(out, 'mixtures', `${one.forest.mixtures} kinds in the last ${one.forest.windows} windows`);
  row(out, 'model', one.modelDigest);
  row(out, 'from', originText(one));
  for (const { started, windows, reason, logIndex } of one.phases)
    row(out, 'vouched', `${windows} windows at ${started}: ${printable(reason)} (entry ${logIndex})`);
}

function row(out: Output, title: string, text: string): void {
  out.line(`${out.paint('dim', title.padEnd(10))}${text}`);
}

function originText({ imported, windows }: BaselineDocument): string {
  if (imported === null) return 'learnt here';
  const { by, at, logIndex } = imported;
  const more = windows - imported.windows;
  return `imported at ${at}, signed by ${printable(by)} (entry ${logIndex}); ${more} windows learnt here since`;
}

function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const rest = names.length - SHOWN_MAX;
  return `${printable(names.slice(0, SHOWN_MAX).join(' '))}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function amountText(name: string, amount: number): string {
  if (name.startsWith('bytes ')) return `${formatSize(Math.ceil(amount))} ${name.slice('bytes '.length)}`;
  return `${Math.ceil(amount)} ${name}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
