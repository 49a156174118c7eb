// The error codes of all rooms, read from their sources: the closed unions, and the places that raise them. docs/errors.md is made of this.
import { exitStatus } from '../../src/base/index.ts';
import { isNode, literalOf, nodesOf, type SourceFile, type SyntaxNode } from './source-file.ts';

/** One code of a room's union. */
export interface ErrorCode {
  readonly code: string;
  readonly room: string;
  /** What it says at the places that raise it; `…` stands for what differs. */
  readonly messages: readonly string[];
  readonly hints: readonly string[];
  /** Exit statuses of the command line; empty when they are computed. */
  readonly exits: readonly number[];
  readonly isRaised: boolean;
}

/** Reads all codes, by room and then as their unions list them. */
export function errorCodesOf(files: readonly SourceFile[]): ErrorCode[] {
  const sources = files.filter(({ path }) => path.startsWith('src/') && !path.endsWith('.test.ts'));
  const raised = new Map<string, Raising[]>();
  for (const { program } of sources) collectRaisings(program, raised);
  return sources.flatMap((file) =>
    unionsOf(file).map((code) => {
      const places = raised.get(code) ?? [];
      return {
        code,
        room: file.path.split('/')[1] ?? '',
        messages: distinct(places.map(({ message }) => message)),
        hints: distinct(places.map(({ hint }) => hint)),
        exits: distinct(places.map(({ exit }) => exit)).toSorted((a, b) => a - b),
        isRaised: mentions(sources, code) > 1,
      };
    }),
  );
}

/** The members of each `type XErrorCode = 'A' | 'B'` of a file. */
function unionsOf({ program }: SourceFile): string[] {
  const unions = [...nodesOf(program)].filter(
    (node) =>
      node.type === 'TSTypeAliasDeclaration' && isNode(node['id']) && String(node['id']['name']).endsWith('ErrorCode'),
  );
  return unions.flatMap((union) =>
    [...nodesOf(union)].filter(({ type }) => type === 'TSLiteralType').map((node) => literalOf(node['literal']) ?? ''),
  );
}

interface Raising {
  readonly message: string | null;
  readonly hint: string | null;
  readonly exit: number | null;
}

/** Finds `new SomeError('CODE', message, { exit, hint })`, and helpers called with a code first. */
function collectRaisings(program: SyntaxNode, raised: Map<string, Raising[]>): void {
  for (const node of nodesOf(program)) {
    if (node.type !== 'NewExpression' && node.type !== 'CallExpression') continue;
    const [first, message, ...rest] = node['arguments'] as SyntaxNode[];
    const code = literalOf(first);
    if (code === null || !/^[A-Z]+(_[A-Z0-9]+)+$/.test(code)) continue;
    const options = rest.find(({ type }) => type === 'ObjectExpression');
    const places = raised.get(code) ?? [];
    places.push({
      message: sentenceOf(message),
      hint: sentenceOf(memberOf(options, 'hint')),
      exit: exitOf(memberOf(options, 'exit')),
    });
    raised.set(code, places);
  }
}

/** The text of a string or template, `…` in its holes; null when all of it is computed. */
function sentenceOf(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type !== 'TemplateLiteral') return literalOf(node);
  const text = (node['quasis'] as { value: { cooked: string } }[]).map(({ value }) => value.cooked).join('…');
  return /[a-z]/.test(text) ? text : null;
}

function memberOf(options: SyntaxNode | undefined, name: string): unknown {
  const members = (options?.['properties'] ?? []) as SyntaxNode[];
  return members.find(({ key }) => isNode(key) && key['name'] === name)?.['value'];
}

function exitOf(node: unknown): number | null {
  if (!isNode(node) || !isNode(node['property'])) return null;
  const name = String(node['property']['name']);
  return Object.hasOwn(exitStatus, name) ? exitStatus[name as keyof typeof exitStatus] : null;
}

function mentions(sources: readonly SourceFile[], code: string): number {
  return sources.reduce((count, { text }) => count + text.split(`'${code}'`).length - 1, 0);
}

function distinct<T>(values: readonly (T | null)[]): T[] {
  return [...new Set(values)].filter((value) => value !== null);
}

/** How many messages of one code the page shows: enough to recognise it. */
const MESSAGES_SHOWN = 2;

/** The page docs/errors.md. */
export function errorPage(codes: readonly ErrorCode[]): string {
  const rooms = [...new Set(codes.map(({ room }) => room))].toSorted();
  const sections = rooms.map((room) => {
    const rows = codes.filter((code) => code.room === room).map(errorRow);
    return [`## ${room}`, '', '| code | exit | says | what to do |', '|---|---|---|---|', ...rows, ''].join('\n');
  });
  return `${ERROR_PAGE_HEAD}\n${sections.join('\n')}`;
}

const ERROR_PAGE_HEAD = `# Errors

Every error of Provost has a code that programs may rely on, a message that says what happened and why, and a hint that says what to do.
With \`--json\` they are \`code\`, \`message\` and \`hint\` of the object \`error\`. The exit statuses are those of \`provost --help\`.
\`…\` stands for what differs from case to case. This page is made by \`npm run docs:errors\`; a test compares it with the sources.
`;

function errorRow({ code, exits, messages, hints }: ErrorCode): string {
  const cells = [
    `\`${code}\``,
    exits.join(', '),
    messages.slice(0, MESSAGES_SHOWN).join(' · '),
    hints.slice(0, MESSAGES_SHOWN).join(' · '),
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ')).join(' | ')} |`;
}
