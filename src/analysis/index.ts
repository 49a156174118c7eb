// Static analysis of artifacts: what can be said before the code runs. In this version: image hygiene.
export { hygieneChecks, hygieneEvidence, type HygieneInput } from './hygiene.ts';
