// Static analysis of artifacts: what can be said before the code runs. In this version: image hygiene and build files.
export { hygieneChecks, hygieneEvidence, type HygieneInput } from './hygiene.ts';
export { buildFileChecks, scoreBuildFiles } from './build-files/build-evidence.ts';
export { type BuildFileFinding, type Severity as BuildFileSeverity } from './build-files/finding.ts';
export { type BuildFileJudgement, judgeBuildFiles, type BuildFile } from './build-files/judge.ts';
export { isBuildFile } from './build-files/source-text.ts';
export { type BuildFileRule, type BuildFileRuleId, buildFileRules } from './build-files/rules.ts';
export { sarifOf, type SarifLog } from './build-files/sarif.ts';
