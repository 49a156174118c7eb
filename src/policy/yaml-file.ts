// A YAML text that knows where its values stand: schema problems come out with line, column and a suggestion.
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { messageOf } from '../base/index.ts';
import { PolicyError, type PolicyErrorCode, type PolicyProblem } from './errors.ts';
import { suggestWord } from './suggestion.ts';

/** A policy is a page or ten; a larger text is not one. */
const YAML_BYTES_MAX = 256 * 1024;

/** So many mistakes are enough to read at once. */
const PROBLEMS_SHOWN_MAX = 20;

export type ValuePath = readonly PropertyKey[];

/** A parsed YAML document with its positions. */
export class YamlFile {
  /** The content as plain data. */
  readonly value: unknown;
  readonly #document: Document;
  readonly #lines: LineCounter;
  readonly #source: string;
  readonly #problems: PolicyProblem[] = [];

  /** @throws PolicyError POLICY_YAML for what is not one YAML document without aliases, or too large */
  constructor(text: string, source: string) {
    this.#source = source;
    this.#lines = new LineCounter();
    if (Buffer.byteLength(text) > YAML_BYTES_MAX) {
      throw new PolicyError('POLICY_YAML', `${source} is larger than ${YAML_BYTES_MAX} bytes`, {
        hint: 'A policy is a few pages of YAML; is this the right file?',
      });
    }
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, stringKeys: true });
    for (const { message, pos } of [...this.#document.errors, ...this.#document.warnings]) {
      this.#problems.push({ code: 'POLICY_YAML', ...this.#placeOf(pos[0]), message });
    }
    this.throwProblems();
    this.value = this.attempt('POLICY_YAML', [], () => this.#document.toJS({ maxAliasCount: 0 }) as unknown);
    this.throwProblems();
  }

  /** Reads the content by a schema; every problem of the text is reported at once. */
  read<T extends z.ZodType>(schema: T): z.output<T> {
    const result = schema.safeParse(this.value);
    if (result.success) return result.data;
    for (const issue of result.error.issues) this.#addIssue(schema, issue);
    throw this.#error();
  }

  /** Notes a problem with the value at `path`. */
  add(code: PolicyErrorCode, path: ValuePath, message: string): void {
    this.#problems.push({ code, ...this.#placeOf(this.#offsetOf(path)), message });
  }

  /** Runs `make`; what it throws becomes a problem of the value at `path`, and the result is null. */
  attempt<T>(code: PolicyErrorCode, path: ValuePath, make: () => T): T | null {
    try {
      return make();
    } catch (error) {
      this.add(code, path, messageOf(error));
      return null;
    }
  }

  /** @throws PolicyError with the code of the first problem, when any was noted */
  throwProblems(): void {
    if (this.#problems.length > 0) throw this.#error();
  }

  #error(): PolicyError {
    const problems = this.#problems.toSorted((a, b) => a.line - b.line || a.column - b.column);
    const shown = problems.slice(0, PROBLEMS_SHOWN_MAX);
    const lines = shown.map(({ line, column, message }) => `${this.#source}:${line}:${column}: ${message}`);
    const left = problems.length - shown.length;
    const code = shown[0]?.code ?? 'POLICY_VALUE';
    return new PolicyError(code, [...lines, ...(left > 0 ? [`and ${left} more`] : [])].join('\n'), {
      hint: 'Correct the file and run provost policy check on it; policies/default.yaml explains every key.',
      details: { source: this.#source, problems: shown },
    });
  }

  #addIssue(schema: z.ZodType, issue: z.core.$ZodIssue): void {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) this.#addUnknownKey(schema, issue.path, key);
    } else if (issue.path.length > 0 && !this.#document.hasIn(issue.path)) {
      this.add('POLICY_KEY', issue.path, `${nameOf(issue.path)} is missing`);
    } else {
      this.add('POLICY_VALUE', issue.path, `${nameOf(issue.path)}: ${issue.message}`);
    }
  }

  #addUnknownKey(schema: z.ZodType, path: ValuePath, key: string): void {
    const meant = suggestWord(key, keysAt(schema, path));
    const where = path.length === 0 ? '' : ` in ${nameOf(path)}`;
    const message = `unknown key '${key}'${where}${meant === null ? '' : `; did you mean '${meant}'?`}`;
    this.#problems.push({ code: 'POLICY_KEY', ...this.#placeOf(this.#offsetOfKey(path, key)), message });
  }

  /** Where the value at `path` begins, or the nearest value around it. */
  #offsetOf(path: ValuePath): number {
    for (let length = path.length; length >= 0; length -= 1) {
      const node = this.#nodeAt(path.slice(0, length));
      if (isNode(node)) return node.range?.[0] ?? 0;
    }
    return 0;
  }

  /** Where a key of the map at `path` stands. */
  #offsetOfKey(path: ValuePath, key: string): number {
    const map = this.#nodeAt(path);
    if (!isMap(map)) return this.#offsetOf(path);
    const pair = map.items.find(({ key: one }) => isScalar(one) && one.value === key);
    return isNode(pair?.key) ? (pair.key.range?.[0] ?? 0) : this.#offsetOf(path);
  }

  #nodeAt(path: ValuePath): unknown {
    return path.length === 0 ? this.#document.contents : this.#document.getIn(path, true);
  }

  #placeOf(offset: number): { line: number; column: number } {
    const { line, col } = this.#lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  }
}

/** `grants.low.cpuMax`, `rules[2].when`. */
function nameOf(path: ValuePath): string {
  if (path.length === 0) return 'the file';
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** The keys that a schema knows at a path; none where it is no object. */
function keysAt(schema: z.ZodType, path: ValuePath): string[] {
  let at: unknown = unwrapped(schema);
  for (const part of path) {
    if (at instanceof z.ZodObject) at = unwrapped((at.shape as Record<string, unknown>)[String(part)]);
    else if (at instanceof z.ZodArray) at = unwrapped(at.element);
  }
  return at instanceof z.ZodObject ? Object.keys(at.shape) : [];
}

/** Steps through transforms and optional marks to the schema that reads the text. */
function unwrapped(schema: unknown): unknown {
  if (schema instanceof z.ZodPipe) return unwrapped(schema.in);
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return unwrapped(schema.unwrap());
  return schema;
}
