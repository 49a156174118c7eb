// Reads a Dockerfile into instructions. Two readers must agree where each ends: the library, and the rules of BuildKit.
import { DockerfileParser } from 'dockerfile-ast';
import { messageOf } from '../../base/index.ts';
import { shown } from './finding.ts';
import { scriptOf, type TextScript, withoutStart } from './text-script.ts';

/** One instruction without comments and continuations. */
export interface DockerInstruction {
  /** In capitals. */
  readonly keyword: string;
  /** 1-based line of its keyword. */
  readonly line: number;
  readonly lastLine: number;
  /** What follows the keyword on its logical line. */
  readonly head: string;
  /** The head, and after it the here-documents as they stand. */
  readonly script: TextScript;
}

/** A Dockerfile that could be read, or the line and reason of the first doubt. */
export type DockerfileText =
  | { readonly instructions: readonly DockerInstruction[]; readonly escape: string; readonly syntax: string | null }
  | { readonly fault: string; readonly line: number };

const KEYWORDS: ReadonlySet<string> = new Set(
  'ADD ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK LABEL MAINTAINER ONBUILD RUN SHELL STOPSIGNAL USER VOLUME WORKDIR'.split(
    ' ',
  ),
);

/** Instructions that here-documents may follow. */
const HEREDOC_KEYWORDS = /^(ADD|COPY|RUN|ONBUILD\s+(ADD|COPY|RUN))\b/i;

/** More instructions than any builder has layers for. */
const INSTRUCTIONS_MAX = 2000;

/** Here-documents of one instruction; nobody writes more than a few. */
const HEREDOCS_MAX = 32;

/** Reads instructions; whatever two builders could read in two ways is a fault. */
export function readDockerfile(text: string): DockerfileText {
  const lines = text.split('\n');
  const directives = directivesOf(lines);
  const escape = directives.get('escape') ?? '\\';
  if (escape !== '\\' && escape !== '`') return { fault: 'its escape directive names no escape character', line: 1 };
  const parsed = parse(text);
  if ('fault' in parsed) return parsed;
  if (parsed.escape !== escape) return { fault: 'readers disagree on its escape character', line: 1 };
  if (parsed.ranges.length > INSTRUCTIONS_MAX)
    return { fault: `it has more than ${INSTRUCTIONS_MAX} instructions`, line: 1 };
  const instructions: DockerInstruction[] = [];
  for (const range of parsed.ranges) {
    const read = readInstruction(lines, range, escape);
    if ('fault' in read) return read;
    instructions.push(read);
  }
  if (!instructions.some(({ keyword }) => keyword === 'FROM')) return { fault: 'it has no FROM', line: 1 };
  return { instructions, escape, syntax: directives.get('syntax') ?? null };
}

/** Comments of the form `# name=value` before anything else. */
function directivesOf(lines: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = /^#\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) break;
    found.set(name.toLowerCase(), value);
  }
  return found;
}

interface LineRange {
  /** 0-based, both included. */
  readonly first: number;
  readonly last: number;
}

function parse(text: string): { ranges: LineRange[]; escape: string } | { fault: string; line: number } {
  try {
    const parsed = DockerfileParser.parse(text);
    const ranges = parsed.getInstructions().map((instruction) => {
      const { start, end } = instruction.getRange();
      return { first: start.line, last: end.line };
    });
    return { ranges, escape: parsed.getEscapeCharacter() };
  } catch (error) {
    // Whatever the library cannot read is not judged: the caller makes a finding of it.
    return { fault: `it cannot be parsed: ${shown(messageOf(error))}`, line: 1 };
  }
}

function readInstruction(
  lines: readonly string[],
  range: LineRange,
  escape: string,
): DockerInstruction | { fault: string; line: number } {
  const line = range.first + 1;
  const head = joinLines(lines, range.first, escape);
  const [, word = '', rest = ''] = /^\s*(\S+)\s*([\s\S]*)$/.exec(head.text) ?? [];
  const keyword = word.toUpperCase();
  if (!KEYWORDS.has(keyword)) return { fault: `${shown(word)} is no instruction`, line };
  const heredocs = HEREDOC_KEYWORDS.test(head.text.trim()) ? heredocsOf(head.text) : [];
  if (heredocs.length > HEREDOCS_MAX) return { fault: `it opens more than ${HEREDOCS_MAX} here-documents`, line };
  let last = head.last;
  for (const { name, isTabbed } of heredocs) {
    last = lines.findIndex((it, at) => at > last && (isTabbed ? it.replace(/^\t+/, '') : it) === name);
    if (last === -1) return { fault: `the here-document ${shown(name)} has no end`, line };
  }
  if (lastOfContent(lines, range.first, last) !== lastOfContent(lines, range.first, range.last))
    return { fault: `readers disagree where ${keyword} ends`, line };
  const bodies = lines.slice(head.last + 1, last + 1).map((it, at) => ({ text: `\n${it}`, line: head.last + 2 + at }));
  const cut = head.text.length - rest.length;
  return {
    keyword,
    line,
    lastLine: last + 1,
    head: rest,
    script: withoutStart(scriptOf([...head.pieces, ...bodies]), cut),
  };
}

interface Joined {
  readonly text: string;
  readonly pieces: readonly { readonly text: string; readonly line: number }[];
  readonly last: number;
}

/**
 * Joins continued lines. Comments and empty lines between them are dropped; an escape before the escape makes it plain.
 *
 * @source moby/buildkit, frontend/dockerfile/parser
 */
function joinLines(lines: readonly string[], first: number, escape: string): Joined {
  const continued = escape === '\\' ? /(^|[^\\])\\[ \t]*$/ : /(^|[^`])`[ \t]*$/;
  const pieces: { text: string; line: number }[] = [];
  let last = first;
  for (let at = first; at < lines.length; at += 1) {
    const text = lines[at] ?? '';
    if (at > first && /^\s*(#.*)?$/.test(text)) continue;
    last = at;
    const isContinued = continued.test(text);
    pieces.push({ text: isContinued ? text.slice(0, text.lastIndexOf(escape)) : text, line: at + 1 });
    if (!isContinued) break;
  }
  return { text: pieces.map(({ text }) => text).join(''), pieces, last };
}

/** Readers may or may not count what is empty or a comment after the last line of an instruction. */
function lastOfContent(lines: readonly string[], first: number, last: number): number {
  let at = Math.min(last, lines.length - 1);
  while (at > first && /^\s*(#.*)?$/.test(lines[at] ?? '')) at -= 1;
  return at;
}

/** The here-documents that a logical line opens: `<<NAME` as a word of its own, outside quotes. */
function heredocsOf(head: string): { name: string; isTabbed: boolean }[] {
  return [...head.matchAll(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+|["']/g)].flatMap(([word]) => {
    const [, dash, name] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
    return name === undefined ? [] : [{ name: name.replaceAll(/['"]/g, ''), isTabbed: dash === '-' }];
  });
}
