// Policy text in, checked policy out: every mistake with its line, unknown keys with what was probably meant.
import { type Digest, digestOf } from '../artifact/index.ts';
import { canonicalJson, invariant } from '../base/index.ts';
import { type PreparedWeights, prepareWeights } from '../trust/index.ts';
import { compileCondition, type Condition } from './condition.ts';
import { type PolicyDocument, policySchema } from './document.ts';
import { findNonsense } from './sense.ts';
import { YamlFile } from './yaml-file.ts';

/** A rule of the policy: caps the tier, or refuses, where its condition holds. */
export type PolicyRule = PolicyDocument['rules'][number] & { readonly condition: Condition };

/** What is done when something happens, where its condition (null: always) holds. */
export type PolicyResponse = PolicyDocument['responses'][number] & { readonly condition: Condition | null };

/** A policy that was checked as a whole, with its weights laid out and its conditions compiled. */
export interface Policy extends Omit<PolicyDocument, 'rules' | 'responses'> {
  /** Where it was read from, for messages; not part of the digest. */
  readonly source: string;
  /** Canonical JSON of the file's content; `parsePolicy` reads it back to the same policy. */
  readonly canonical: string;
  /** SHA-256 of `canonical`: what a decision names. */
  readonly digest: Digest;
  readonly weights: PreparedWeights;
  readonly rules: readonly PolicyRule[];
  readonly responses: readonly PolicyResponse[];
}

/**
 * Parses a policy file (YAML or JSON) and checks it as a whole: keys, units, bounds, weights, order of the tiers, conditions.
 *
 * @param source where the text came from, for messages
 * @throws PolicyError POLICY_YAML, POLICY_KEY, POLICY_VALUE, POLICY_CONDITION; `details.problems` lists every problem with its line
 */
export function parsePolicy(text: string, source: string): Policy {
  const file = new YamlFile(text, source);
  const document = file.read(policySchema);
  const weights = file.attempt('POLICY_VALUE', ['trust', 'checks'], () => prepareWeights(document.trust));
  const rules = compileRules(file, document);
  const responses = compileResponses(file, document);
  for (const { path, message } of findNonsense(document)) file.add('POLICY_VALUE', path, message);
  file.throwProblems();
  invariant(weights !== null, 'weights that were refused were not reported');
  const canonical = canonicalJson(file.value);
  return { ...document, source, canonical, digest: digestOf(canonical), weights, rules, responses };
}

function compileRules(file: YamlFile, { rules }: PolicyDocument): PolicyRule[] {
  return rules.flatMap((rule, index) => {
    const path = ['rules', index, 'when'];
    const condition = file.attempt('POLICY_CONDITION', path, () => compileCondition(rule.when, 'rule'));
    return condition === null ? [] : [{ ...rule, condition }];
  });
}

function compileResponses(file: YamlFile, { responses }: PolicyDocument): PolicyResponse[] {
  return responses.map((response, index) => {
    const { when } = response;
    if (when === undefined) return { ...response, condition: null };
    const path = ['responses', index, 'when'];
    // A null of a condition that did not compile is never used: the problem is thrown with the others.
    const condition = file.attempt('POLICY_CONDITION', path, () => compileCondition(when, 'response'));
    return { ...response, condition };
  });
}
