// CEL conditions: compiled and type-checked when a policy is loaded, evaluated on facts alone, with no clock.
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { messageOf } from '../base/index.ts';
import { PolicyError } from './errors.ts';

/** Longer conditions are refused: a condition is for people to read. */
const CONDITION_LENGTH_MAX = 1000;

const limits = { maxAstNodes: 500, maxDepth: 24, maxListElements: 100, maxMapEntries: 100, maxCallArguments: 8 };

/** What the `when` of a rule can ask about: `artifact.name`, `request.hostPorts`, `score` … */
const ruleEnvironment = new Environment({ limits })
  .registerVariable('workload', 'string')
  .registerVariable({
    name: 'artifact',
    schema: { name: 'string', digest: 'string', kind: 'string', reference: 'string' },
  })
  .registerVariable('publishers', 'list<string>')
  .registerVariable({
    name: 'request',
    schema: {
      cpuMillicores: 'int',
      memoryBytes: 'int',
      diskBytes: 'int',
      pids: 'int',
      hostPorts: 'list<int>',
      mountSources: 'list<string>',
    },
  })
  .registerVariable('score', 'double')
  .registerVariable('tier', 'string');

/** What the `when` of a response can ask about: the facts of what happened; empty text or 0 where a fact does not apply. */
const responseEnvironment = new Environment({ limits })
  .registerVariable('kind', 'string')
  .registerVariable('severity', 'string')
  .registerVariable('from', 'string')
  .registerVariable('to', 'string')
  .registerVariable('score', 'double')
  .registerVariable('anomaly', 'double')
  .registerVariable('rule', 'string')
  .registerVariable('keyId', 'string');

/** A compiled condition. */
export interface Condition {
  readonly text: string;
  /** @throws the evaluator's error, for example on a list index out of range; callers take the cautious side */
  holds(facts: Readonly<Record<string, unknown>>): boolean;
}

/**
 * Compiles a condition over the facts of rules or of responses.
 *
 * @throws PolicyError POLICY_CONDITION for what does not parse, names unknown facts, is no truth value, or calls `matches`
 */
export function compileCondition(text: string, over: 'rule' | 'response'): Condition {
  if (text.length > CONDITION_LENGTH_MAX) {
    throw badCondition(`has ${text.length} characters; at most ${CONDITION_LENGTH_MAX} are read`);
  }
  const environment = over === 'rule' ? ruleEnvironment : responseEnvironment;
  const { valid, type, error } = environment.check(text);
  if (!valid) throw badCondition(firstLine(messageOf(error)));
  if (type !== 'bool') throw badCondition(`gives a ${type ?? 'value'}, not true or false`);
  const program = environment.parse(text);
  // CEL promises linear time; this evaluator's `matches` backtracks, and names of artifacts are the attacker's.
  if (callsMatches(program.ast))
    throw badCondition('calls matches, which is not offered; use startsWith, endsWith or contains');
  return { text, holds: (facts) => program(facts) === true };
}

/** True where a call of `matches` is anywhere in the tree; its depth is bounded by the parser's limits. */
function callsMatches(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(callsMatches);
  if (typeof node !== 'object' || node === null || !('op' in node)) return false;
  const { op, args } = node as ASTNode;
  if ((op === 'rcall' || op === 'call') && args[0] === 'matches') return true;
  return callsMatches(args);
}

function firstLine(message: string): string {
  return message.slice(0, message.indexOf('\n') < 0 ? undefined : message.indexOf('\n'));
}

function badCondition(message: string): PolicyError {
  return new PolicyError('POLICY_CONDITION', `the condition ${message}`, {
    hint: 'Conditions are CEL expressions that give true or false; `provost policy show` lists the facts they can name.',
  });
}
