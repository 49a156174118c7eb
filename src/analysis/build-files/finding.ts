// What a rule found in a build file: where, how bad, and in words that are safe to show.
import { buildFileRules, type BuildFileRuleId } from './rules.ts';
import { hasPasswordInAddress, tokenKindIn } from './secret-text.ts';

/** From what is worth a look to what must not be built from. */
export type Severity = 'low' | 'medium' | 'high' | 'critical';

/** The severities, worst first. */
export const severities: readonly Severity[] = ['critical', 'high', 'medium', 'low'];

/** One thing that one rule found at one place. */
export interface BuildFileFinding {
  readonly rule: BuildFileRuleId;
  readonly severity: Severity;
  /** As the caller named the file: attacker-controlled. */
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  /** One clause without a full stop; escaped, cut, and without any secret. */
  readonly message: string;
}

/** Takes what a judge finds in its one file. */
export type Note = (rule: BuildFileRuleId, line: number, message: string) => void;

/** Text from outside in a message is cut at this many characters. */
const SHOWN_MAX = 80;

/** Builds a finding; how bad it is depends on its rule alone. */
export function findingOf(rule: BuildFileRuleId, path: string, line: number, message: string): BuildFileFinding {
  return { rule, severity: buildFileRules[rule].severity, path, line: Math.max(1, line), message };
}

/** Total order: by file, line, rule and message, so that the order of the input cannot show. */
export function compareFindings(a: BuildFileFinding, b: BuildFileFinding): number {
  return (
    compareText(a.path, b.path) || a.line - b.line || compareText(a.rule, b.rule) || compareText(a.message, b.message)
  );
}

/** Worst first, then as {@link compareFindings}. */
export function compareByWorst(a: BuildFileFinding, b: BuildFileFinding): number {
  return severities.indexOf(a.severity) - severities.indexOf(b.severity) || compareFindings(a, b);
}

/** Compares by code units: the same on every host, whatever its language. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

/** Shows attacker-controlled text: on one line, without control or direction characters, cut; nothing of a secret. */
export function shown(text: string): string {
  if (tokenKindIn(text) !== null || hasPasswordInAddress(text)) return 'a text with a secret';
  const cut = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX - 1)}…` : text;
  return cut.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
