// Findings in build files as SARIF, which code hosts and editors read.
import { sha256Hex } from '../../base/index.ts';
import type { BuildFileFinding, Severity } from './finding.ts';
import { buildFileRuleIds, buildFileRules, type BuildFileRuleId } from './rules.ts';

/** A log of one run, as plain JSON. */
export interface SarifLog {
  readonly $schema: string;
  readonly version: '2.1.0';
  readonly runs: readonly SarifRun[];
}

export interface SarifRun {
  readonly tool: { readonly driver: SarifDriver };
  readonly columnKind: 'utf16CodeUnits';
  readonly results: readonly SarifResult[];
}

export interface SarifDriver {
  readonly name: string;
  readonly version: string;
  readonly rules: readonly SarifRule[];
}

export interface SarifRule {
  readonly id: BuildFileRuleId;
  readonly shortDescription: { readonly text: string };
  readonly fullDescription: { readonly text: string };
  readonly help: { readonly text: string };
  readonly defaultConfiguration: { readonly level: SarifLevel };
  readonly properties: { readonly 'security-severity': string; readonly tags: readonly string[] };
}

export interface SarifResult {
  readonly ruleId: BuildFileRuleId;
  readonly ruleIndex: number;
  readonly level: SarifLevel;
  readonly message: { readonly text: string };
  readonly locations: readonly [
    {
      readonly physicalLocation: {
        readonly artifactLocation: { readonly uri: string; readonly uriBaseId: '%SRCROOT%' };
        readonly region: { readonly startLine: number };
      };
    },
  ];
  readonly partialFingerprints: { readonly 'provost/v1': string };
}

export type SarifLevel = 'error' | 'warning' | 'note';

const SCHEMA = 'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';

const LEVELS: Readonly<Record<Severity, SarifLevel>> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  low: 'note',
};

/** Numbers that code hosts sort by: from 9.0 on critical, from 7.0 on high, from 4.0 on medium. */
const SEVERITY_NUMBERS: Readonly<Record<Severity, string>> = {
  critical: '9.5',
  high: '8.0',
  medium: '5.0',
  low: '2.0',
};

/**
 * Renders findings as a SARIF log, in their order. Fingerprints name rule, file and message, and count repetitions, so that a
 * finding keeps its own when lines are added above it.
 *
 * @source SARIF 2.1.0, OASIS standard with errata 01
 */
export function sarifOf(findings: readonly BuildFileFinding[], options: { readonly toolVersion: string }): SarifLog {
  const rules = buildFileRuleIds.map(ruleOf);
  const seen = new Map<string, number>();
  const results = findings.map((finding) => {
    const key = JSON.stringify([finding.rule, finding.path, finding.message]);
    const count = seen.get(key) ?? 0;
    seen.set(key, count + 1);
    return resultOf(finding, sha256Hex(JSON.stringify([key, count])));
  });
  const driver = { name: 'Provost', version: options.toolVersion, rules };
  return { $schema: SCHEMA, version: '2.1.0', runs: [{ tool: { driver }, columnKind: 'utf16CodeUnits', results }] };
}

function ruleOf(id: BuildFileRuleId): SarifRule {
  const { severity, title, why, fix } = buildFileRules[id];
  return {
    id,
    shortDescription: { text: `${title}.` },
    fullDescription: { text: why },
    help: { text: `${why} ${fix}` },
    defaultConfiguration: { level: LEVELS[severity] },
    properties: { 'security-severity': SEVERITY_NUMBERS[severity], tags: ['security', 'build'] },
  };
}

function resultOf({ rule, severity, path, line, message }: BuildFileFinding, fingerprint: string): SarifResult {
  const { title } = buildFileRules[rule];
  return {
    ruleId: rule,
    ruleIndex: buildFileRuleIds.indexOf(rule),
    level: LEVELS[severity],
    message: { text: `${title}: ${message}.` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: relativeUri(path), uriBaseId: '%SRCROOT%' },
          region: { startLine: line },
        },
      },
    ],
    partialFingerprints: { 'provost/v1': fingerprint },
  };
}

/** A URI below the root whatever a path says: attacker-controlled, so nothing in it leads up or to a scheme. */
function relativeUri(path: string): string {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.' && part !== '..');
  return parts.map((part) => encodeURIComponent(part.toWellFormed())).join('/');
}
