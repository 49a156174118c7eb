// Cuts a shell script into words and operators, as far as a reader who does not run it can.
import { lineAt, partOf, type TextScript } from './text-script.ts';

/** A script inside a word: `$(…)` and backquotes give their output, `<(…)` a file to read, `>(…)` one to write to. */
export interface InnerScript {
  readonly kind: 'output' | 'source' | 'sink';
  readonly text: string;
}

export type ShellToken =
  | { readonly kind: 'word'; readonly line: number; readonly text: string; readonly inner: readonly InnerScript[] }
  | { readonly kind: 'operator' | 'redirect'; readonly line: number; readonly text: string }
  | { readonly kind: 'heredoc'; readonly line: number; readonly body: TextScript };

/** Values of variables that are known before the script runs. */
export type Variables = ReadonlyMap<string, string>;

/** So deep may brackets and quotes nest before the rest is taken as one piece. */
const BRACKETS_MAX = 40;

const OPERATOR = /&&|\|\||\|&|;;|[|&;()\n]/y;
const REDIRECT = /&>>?|<<<|<<-|<<|[<>]&|<>|>>|>\||[<>]/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;

/** Reads tokens; an unclosed quote counts as a plain character, so that it cannot hide the rest of the script. */
export function shellTokens(script: TextScript, variables: Variables): ShellToken[] {
  return new Lexer(script, variables).read();
}

class Lexer {
  readonly #script: TextScript;
  readonly #source: string;
  readonly #variables: Variables;
  readonly #tokens: ShellToken[] = [];
  /** Delimiters of here-documents whose bodies begin after this line. */
  #pending: { readonly name: string; readonly isTabbed: boolean }[] = [];
  /** Where the last expression of a workflow ends: none begins behind it. */
  readonly #lastExpression: number;
  #at = 0;

  constructor(script: TextScript, variables: Variables) {
    this.#script = script;
    this.#source = script.text;
    this.#variables = variables;
    this.#lastExpression = script.text.lastIndexOf('}}');
  }

  read(): ShellToken[] {
    while (this.#at < this.#source.length) this.#step();
    return this.#tokens;
  }

  #step(): void {
    const char = this.#source[this.#at] ?? '';
    if (char === ' ' || char === '\t') this.#at += 1;
    else if (char === '#') this.#at = endOfLine(this.#source, this.#at);
    else if (/^[<>]\(/.test(this.#source.slice(this.#at, this.#at + 2))) this.#word();
    else if (!this.#redirect() && !this.#operator()) this.#word();
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#source)?.[0] ?? null;
  }

  #line(): number {
    return lineAt(this.#script, this.#at);
  }

  #redirect(): boolean {
    const text = this.#match(REDIRECT);
    if (text === null) return false;
    // In `2>file` the number belongs to the operator.
    const last = this.#tokens.at(-1);
    if (last?.kind === 'word' && /^\d+$/.test(last.text) && this.#source[this.#at - 1] === last.text.at(-1))
      this.#tokens.pop();
    const line = this.#line();
    this.#at += text.length;
    if (text !== '<<' && text !== '<<-') {
      this.#tokens.push({ kind: 'redirect', line, text });
      return true;
    }
    const raw = /^[ \t]*([^\s;|&<>()]+)/.exec(this.#source.slice(this.#at, this.#at + 256));
    if (raw === null) return true;
    this.#at += raw[0].length;
    this.#pending.push({ name: (raw[1] ?? '').replaceAll(/['"\\]/g, ''), isTabbed: text === '<<-' });
    return true;
  }

  #operator(): boolean {
    const text = this.#match(OPERATOR);
    if (text === null) return false;
    const line = this.#line();
    this.#at += text.length;
    if (text === '\n') this.#heredocs();
    this.#tokens.push({ kind: 'operator', line, text });
    return true;
  }

  #heredocs(): void {
    for (const { name, isTabbed } of this.#pending) {
      const start = this.#at;
      let end = start;
      while (this.#at < this.#source.length) {
        end = this.#at;
        const next = endOfLine(this.#source, this.#at);
        const line = this.#source.slice(this.#at, next);
        this.#at = next + 1;
        if ((isTabbed ? line.replace(/^\t+/, '') : line) === name) break;
        end = this.#at;
      }
      this.#tokens.push({
        kind: 'heredoc',
        line: lineAt(this.#script, start),
        body: partOf(this.#script, start, Math.min(end, this.#source.length)),
      });
    }
    this.#pending = [];
  }

  /** Reads a word: quotes are taken away, known variables replaced, scripts inside noted. */
  #word(): void {
    const line = this.#line();
    const inner: InnerScript[] = [];
    let text = '';
    while (this.#at < this.#source.length) {
      const char = this.#source[this.#at] ?? '';
      const isScript = /^[<>]\(/.test(this.#source.slice(this.#at, this.#at + 2));
      if (/[ \t\n|&;()<>]/.test(char) && !isScript) break;
      if (char === "'") text += this.#single();
      else if (char === '"') text += this.#double(inner);
      else text += this.#piece(inner);
    }
    this.#tokens.push({ kind: 'word', line, text, inner });
  }

  #single(): string {
    const close = this.#source.indexOf("'", this.#at + 1);
    const text = close === -1 ? "'" : this.#source.slice(this.#at + 1, close);
    this.#at = close === -1 ? this.#at + 1 : close + 1;
    return text;
  }

  #double(inner: InnerScript[]): string {
    const close = closeOfDouble(this.#source, this.#at, 0);
    this.#at += 1;
    if (close === null) return '"';
    let text = '';
    while (this.#at < close) {
      const isPlain = /^[<>]/.test(this.#source[this.#at] ?? '');
      text += isPlain ? this.#take(1) : this.#piece(inner);
    }
    this.#at = close + 1;
    return text;
  }

  /** One escape, substitution, variable or character. */
  #piece(inner: InnerScript[]): string {
    const char = this.#source[this.#at];
    const next = this.#source[this.#at + 1];
    if (char === '\\') return this.#take(2).slice(1).replace('\n', '');
    if (char === '`') return this.#backquoted(inner);
    if ((char === '$' || char === '<' || char === '>') && next === '(') return this.#bracketed(char, inner);
    if (char === '$') return this.#variable();
    return this.#take(1);
  }

  #take(count: number): string {
    const text = this.#source.slice(this.#at, this.#at + count);
    this.#at += count;
    return text;
  }

  #backquoted(inner: InnerScript[]): string {
    const close = /(?<!\\)`/g;
    close.lastIndex = this.#at + 1;
    const end = close.exec(this.#source)?.index ?? this.#source.length;
    const text = this.#take(end + 1 - this.#at);
    inner.push({ kind: 'output', text: text.slice(1).replace(/`$/, '').replaceAll('\\`', '`') });
    return '$()';
  }

  #bracketed(opener: string, inner: InnerScript[]): string {
    const end = closeOfBracket(this.#source, this.#at + 1, 0);
    const text = this.#take(end + 1 - this.#at);
    inner.push({
      kind: opener === '$' ? 'output' : opener === '<' ? 'source' : 'sink',
      text: text.slice(2).replace(/\)$/, ''),
    });
    return `${opener}()`;
  }

  #variable(): string {
    // An expression of a workflow is one piece: its operators are not the shell's.
    if (this.#source.startsWith('${{', this.#at) && this.#at <= this.#lastExpression) {
      const end = this.#source.indexOf('}}', this.#at);
      return this.#take(end + 2 - this.#at).replaceAll(/\s/g, '');
    }
    // `$'…'` and `$"…"` are quotes.
    if (/['"]/.test(this.#source[this.#at + 1] ?? '')) return this.#take(1).slice(1);
    const isBraced = this.#source[this.#at + 1] === '{';
    const start = this.#at + (isBraced ? 2 : 1);
    NAME.lastIndex = start;
    const name = NAME.exec(this.#source)?.[0] ?? '';
    const isWhole = name !== '' && (!isBraced || this.#source[start + name.length] === '}');
    if (!isWhole) return this.#take(1);
    const text = this.#take(start - this.#at + name.length + (isBraced ? 1 : 0));
    return this.#variables.get(name) ?? text;
  }
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end === -1 ? text.length : end;
}

/** Offset of the quote that closes the one at `open`, or null. */
function closeOfDouble(text: string, open: number, depth: number): number | null {
  for (let at = open + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') return at;
    if (char === '\\') at += 1;
    else if (char === '$' && text[at + 1] === '(') at = closeOfBracket(text, at + 1, depth + 1);
  }
  return null;
}

/** Offset of the bracket that closes the one at `open`; the end of the text without any. */
function closeOfBracket(text: string, open: number, depth: number): number {
  if (depth > BRACKETS_MAX) return text.length;
  let count = 0;
  for (let at = open; at < text.length; at += 1) {
    const char = text[at];
    if (char === '(') count += 1;
    else if (char === ')' && --count === 0) return at;
    else if (char === '\\') at += 1;
    else if (char === "'") at = Math.max(at, text.indexOf("'", at + 1));
    // One pass: what is unclosed inside leaves the bracket unclosed.
    else if (char === '"') at = closeOfDouble(text, at, depth + 1) ?? text.length;
  }
  return text.length;
}
