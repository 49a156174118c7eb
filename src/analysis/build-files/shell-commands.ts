// Orders the tokens of a shell script into pipelines of commands and groups.
import { type InnerScript, type ShellToken, shellTokens, type Variables } from './shell-lexer.ts';
import { scriptAt, type TextScript } from './text-script.ts';

/** One command with the words that the shell would see. */
export interface ShellCommand {
  readonly kind: 'command';
  readonly line: number;
  readonly words: readonly string[];
  /** Scripts in its words, here-strings and redirections. */
  readonly inner: readonly { readonly kind: InnerScript['kind']; readonly script: ShellScript }[];
  readonly heredocs: readonly ShellScript[];
  /** Files that its output is written to. */
  readonly targets: readonly string[];
  /** Whether its output goes to another command. */
  readonly isPiped: boolean;
}

/** `( … )`, `{ … }`, loops and conditions. */
export interface ShellGroup {
  readonly kind: 'group';
  /** Set when the group is the body of a function. */
  readonly functionName: string | null;
  readonly pipelines: readonly ShellPipeline[];
}

export type ShellPipeline = readonly (ShellCommand | ShellGroup)[];

/** A parsed script. */
export interface ShellScript {
  readonly pipelines: readonly ShellPipeline[];
  /** Whether something nests too deep to be looked at. */
  readonly isCut: boolean;
}

/** Scripts in scripts, and groups in groups, beyond any that people write. */
const SCRIPTS_DEEP_MAX = 12;
const GROUPS_DEEP_MAX = 64;

const OPENERS: ReadonlyMap<string, string> = new Map([
  ['{', '}'],
  ['if', 'fi'],
  ['while', 'done'],
  ['until', 'done'],
  ['for', 'done'],
  ['select', 'done'],
  ['case', 'esac'],
]);
const CLOSERS: ReadonlySet<string> = new Set(['}', 'fi', 'done', 'esac']);
/** Words before a command that change nothing of what it is. */
const LEADERS: ReadonlySet<string> = new Set(['then', 'else', 'elif', 'do', '!', 'time', 'coproc']);
const ASSIGNMENT = /^([A-Za-z_]\w*)=(.*)$/s;
const DECLARATION = /^(export|declare|local|readonly)$/;
/** A variable that grows with each use, and more of them than a script has, are not followed. */
const VALUE_CHARS_MAX = 1024;
const ASSIGNMENTS_MAX = 64;

interface OpenGroup {
  readonly functionName: string | null;
  readonly closer: string | null;
  readonly pipelines: ShellPipeline[];
  steps: (ShellCommand | ShellGroup)[];
}

interface OpenCommand {
  line: number;
  words: string[];
  inner: { kind: InnerScript['kind']; script: ShellScript }[];
  heredocs: ShellScript[];
  targets: string[];
  isPiped: boolean;
}

/** Parses a script. Plain assignments in it are followed; what the shell would refuse is read as well as it can be. */
export function parseShell(script: TextScript, variables: Variables, depth = 0): ShellScript {
  if (depth > SCRIPTS_DEEP_MAX) return { pipelines: [], isCut: script.text.trim() !== '' };
  const known = withAssignments(script, variables);
  return new Parser(known, depth).parse(shellTokens(script, known));
}

/** The whole script is looked through first: the order of functions and loops is not known. */
function withAssignments(script: TextScript, variables: Variables): Variables {
  const found = new Map<string, string>();
  let isStart = true;
  for (const token of shellTokens(script, variables)) {
    const match: RegExpExecArray | null =
      isStart && token.kind === 'word' && token.inner.length === 0 ? ASSIGNMENT.exec(token.text) : null;
    const [, name = '', value = ''] = match ?? [];
    // What is set twice has no value that holds for the whole script.
    const kept = found.has(name) && found.get(name) !== value ? `$${name}` : value;
    if (match !== null && value.length <= VALUE_CHARS_MAX && found.size < ASSIGNMENTS_MAX) found.set(name, kept);
    const isBefore: boolean = token.kind === 'word' && (match !== null || DECLARATION.test(token.text));
    isStart = token.kind === 'operator' || (isStart && isBefore);
  }
  return found.size === 0 ? variables : new Map([...variables, ...found]);
}

class Parser {
  readonly #variables: Variables;
  readonly #depth: number;
  readonly #open: OpenGroup[] = [{ functionName: null, closer: null, pipelines: [], steps: [] }];
  #command: OpenCommand | null = null;
  /** `f ( )` and `function f`: the next group is the body of f. */
  #functionName: string | null = null;
  #isFunction = false;
  #isAfterBar = false;
  #isCut = false;

  constructor(variables: Variables, depth: number) {
    this.#variables = variables;
    this.#depth = depth;
  }

  parse(tokens: readonly ShellToken[]): ShellScript {
    let target: string | null = null;
    for (const token of tokens) {
      if (token.kind === 'word') this.#word(token, target);
      else if (token.kind === 'operator') this.#operator(token.text);
      else if (token.kind === 'heredoc') this.#at(token.line).heredocs.push(this.#script(token.body));
      target = token.kind === 'redirect' ? token.text : null;
      if (token.kind !== 'operator') this.#isAfterBar = false;
    }
    while (this.#open.length > 1) this.#closeGroup();
    const pipelines = this.#endPipeline().pipelines;
    return { pipelines, isCut: this.#isCut };
  }

  #script(text: TextScript): ShellScript {
    const script = parseShell(text, this.#variables, this.#depth + 1);
    this.#isCut ||= script.isCut;
    return script;
  }

  #at(line: number): OpenCommand {
    this.#command ??= { line, words: [], inner: [], heredocs: [], targets: [], isPiped: false };
    return this.#command;
  }

  #word(token: ShellToken & { kind: 'word' }, target: string | null): void {
    const isFirst = (this.#command?.words.length ?? 0) === 0 && target === null && token.inner.length === 0;
    if (isFirst && LEADERS.has(token.text)) return;
    if (isFirst && token.text === 'function') this.#isFunction = true;
    if (isFirst && (token.text === 'function' || this.#isNameOfFunction(token.text))) return;
    const closer = isFirst ? OPENERS.get(token.text) : undefined;
    if (closer !== undefined) return this.#openGroup(closer);
    if (isFirst && CLOSERS.has(token.text) && this.#top().closer === token.text) return this.#closeGroup();
    const command = this.#at(token.line);
    for (const { kind, text } of token.inner)
      command.inner.push({ kind, script: this.#script(scriptAt(text, token.line)) });
    if (target === null) command.words.push(token.text);
    // `2>&1` and `<file` write to no file.
    else if (/^[&>]/.test(target) && target !== '>&') command.targets.push(token.text);
  }

  #operator(text: string): void {
    if (text === '(') this.#openBracket();
    else if (text === ')' && this.#top().closer === ')') this.#closeGroup();
    else if (text === '|' || text === '|&') this.#pipe();
    // A line may end after a bar, and goes on.
    else if (text !== '\n' || !this.#isAfterBar) this.#endPipeline();
    if (text !== '\n' && text !== ')') this.#isAfterBar = text.startsWith('|') && text !== '||';
  }

  #pipe(): void {
    if (this.#command !== null) this.#command.isPiped = true;
    this.#endCommand();
  }

  #top(): OpenGroup {
    return this.#open.at(-1) ?? { functionName: null, closer: null, pipelines: [], steps: [] };
  }

  #openGroup(closer: string): void {
    this.#endCommand();
    if (this.#open.length >= GROUPS_DEEP_MAX) this.#isCut = true;
    else this.#open.push({ functionName: this.#functionName, closer, pipelines: [], steps: [] });
    this.#functionName = null;
  }

  #isNameOfFunction(word: string): boolean {
    if (!this.#isFunction) return false;
    this.#isFunction = false;
    this.#functionName = word;
    return true;
  }

  /** `name (` begins a function. */
  #openBracket(): void {
    const words = this.#command?.words ?? [];
    if (words.length === 1) {
      this.#functionName = words[0] ?? null;
      this.#command = null;
    }
    this.#openGroup(')');
  }

  #closeGroup(): void {
    const { pipelines, functionName } = this.#endPipeline();
    this.#open.pop();
    // The empty brackets behind the name; the body follows, on the same line or the next.
    this.#isAfterBar = pipelines.length === 0;
    if (this.#isAfterBar) this.#functionName = functionName;
    else this.#top().steps.push({ kind: 'group', functionName, pipelines });
  }

  #endCommand(): void {
    if (this.#command !== null) this.#top().steps.push({ kind: 'command', ...this.#command });
    this.#command = null;
  }

  #endPipeline(): OpenGroup {
    this.#endCommand();
    const top = this.#top();
    if (top.steps.length > 0) top.pipelines.push(top.steps);
    top.steps = [];
    return top;
  }
}
