// The rules of the house style that a program can check, each as a function from a file to what breaks it.
import { basename, posix } from 'node:path';
import { type Comment, isNode, lineOf, literalOf, nodesOf, type SourceFile, type SyntaxNode } from './source-file.ts';

/** A file tells one story of about 200 lines; beyond this it tells two. */
const FILE_LINES_MAX = 400;
/** A function fits a screen of about 40 lines; beyond this it fits none. */
const FUNCTION_LINES_MAX = 60;

const KEBAB_NAME = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config))?\.ts$/;
/** Words that name no subject, so that everything ends up there. */
const BANNED_NAME = /(^|-)(utils?|helpers?|common|misc|managers?|types?)(-|\.)/;
/** Brackets in these, so that this file does not hold what it looks for. */
const UNFINISHED = /\b([T]ODO|[F]IXME|[X]XX|[H]ACK)\b/;
/** One word per thing, in one spelling; the specification's own names keep theirs. */
const OTHER_SPELLING = /behav[i]or|arte[f]act/gi;
const SPEC_NAMES = /(monitorRuntime|Runtime )Behav[i]or/g;

/** Everything that breaks the style in one file, one sentence each. */
export function styleBreaches(file: SourceFile): string[] {
  return [...nameBreaches(file), ...textBreaches(file), ...shapeBreaches(file)].map((why) => `${file.path}${why}`);
}

function nameBreaches({ path }: SourceFile): string[] {
  const name = basename(path);
  if (!KEBAB_NAME.test(name)) return [': is not a kebab-case name'];
  return BANNED_NAME.test(name) ? [': has a name that says nothing'] : [];
}

function textBreaches({ path, text }: SourceFile): string[] {
  const found: string[] = [];
  const lines = text.split('\n');
  const first = lines[0]?.startsWith('#!') === true ? lines[1] : lines[0];
  const isUnitTest = path.startsWith('src/') && path.endsWith('.test.ts');
  if (!isUnitTest && !/^\/\/ \S.{10,}/.test(first ?? ''))
    found.push(':1: does not begin with a line that says what the file is for');
  if (lines.length > FILE_LINES_MAX && !path.endsWith('.test.ts'))
    found.push(`: has ${lines.length} lines, more than ${FILE_LINES_MAX}`);
  for (const [index, line] of lines.entries()) {
    if (UNFINISHED.test(line)) found.push(`:${index + 1}: is unfinished`);
    for (const [word] of line.replaceAll(SPEC_NAMES, '').matchAll(OTHER_SPELLING))
      found.push(`:${index + 1}: spells '${word}'`);
  }
  return found;
}

function shapeBreaches(file: SourceFile): string[] {
  const found: string[] = [];
  for (const node of nodesOf(file.program)) {
    const why = shapeBreach(file, node);
    if (why !== null) found.push(`:${lineOf(file, node)}: ${why}`);
  }
  // A suite's `beforeEach` hands over what it made in such variables; the file is its own process.
  if (file.path.endsWith('.test.ts')) return found;
  for (const node of file.program['body'] as SyntaxNode[]) {
    const declared = node.type === 'ExportNamedDeclaration' ? node['declaration'] : node;
    if (isNode(declared) && declared['kind'] === 'let') found.push(`:${lineOf(file, node)}: state at module level`);
  }
  return found;
}

function shapeBreach(file: SourceFile, node: SyntaxNode): string | null {
  switch (node.type) {
    case 'ExportDefaultDeclaration':
      return file.path.endsWith('.config.ts') ? null : 'a default export';
    case 'TSEnumDeclaration':
      return 'an enum';
    case 'TSModuleDeclaration':
      return 'a namespace';
    case 'TSParameterProperty':
      return 'a parameter property';
    case 'TSInterfaceDeclaration':
      return isNode(node['id']) && /^I[A-Z][a-z]/.test(String(node['id']['name'])) ? 'an interface called I…' : null;
    case 'CallExpression':
      return file.path.endsWith('.test.ts') ? skipBreach(node) : null;
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'ArrowFunctionExpression':
      return functionBreach(file, node);
    default:
      return null;
  }
}

/** A test is skipped by `skipIf(needs(…))` alone, which prints why and refuses in CI; and nothing but all tests is run. */
function skipBreach(call: SyntaxNode): string | null {
  const callee = call['callee'];
  if (!isNode(callee) || callee.type !== 'MemberExpression' || !isNode(callee['property'])) return null;
  const name = String(callee['property']['name']);
  if (!isTestFunction(callee['object'])) return null;
  if (name !== 'skipIf') return SKIPPING_NAMES.has(name) ? `a test that '${name}' hides` : null;
  const [condition] = call['arguments'] as SyntaxNode[];
  const asked =
    condition?.type === 'CallExpression' && isNode(condition['callee']) ? condition['callee']['name'] : null;
  return asked === 'needs' ? null : 'a test that is skipped without needs()';
}

const SKIPPING_NAMES: ReadonlySet<string> = new Set(['skip', 'only', 'todo', 'runIf', 'fails']);

function isTestFunction(node: unknown): boolean {
  return isNode(node) && ['it', 'test', 'describe'].includes(String(node['name']));
}

/** Suites of tests are long functions by nature. */
function functionBreach(file: SourceFile, node: SyntaxNode): string | null {
  if (file.path.endsWith('.test.ts')) return null;
  const lines = file.text.slice(node.start, node.end).split('\n').length;
  return lines > FUNCTION_LINES_MAX ? `a function of ${lines} lines, more than ${FUNCTION_LINES_MAX}` : null;
}

/**
 * What a door (`src/room/index.ts`) exports without a doc string where it is declared, and exports of everything. Types
 * may go without: their fields say it.
 */
export function doorBreaches(door: SourceFile, files: ReadonlyMap<string, SourceFile>): string[] {
  return (door.program['body'] as SyntaxNode[]).flatMap((node) => {
    if (node.type === 'ExportAllDeclaration') return [`${door.path}:${lineOf(door, node)}: exports everything`];
    const from = literalOf(node['source']);
    if (node.type !== 'ExportNamedDeclaration' || from === null || node['exportKind'] === 'type') return [];
    // What comes through another door is documented behind that one.
    if (from.endsWith('/index.ts')) return [];
    const target = files.get(posix.join(posix.dirname(door.path), from));
    return (node['specifiers'] as SyntaxNode[])
      .filter((specifier) => specifier['exportKind'] !== 'type')
      .map((specifier) => (isNode(specifier['local']) ? String(specifier['local']['name']) : ''))
      .filter((name) => !isDocumented(name, target))
      .map((name) => `${door.path}: '${name}' of ${from} has no doc string`);
  });
}

/** An error class says it all with its name and its codes. */
function isDocumented(name: string, file: SourceFile | undefined): boolean {
  if (name.endsWith('Error')) return true;
  const declaration = (file?.program['body'] as SyntaxNode[] | undefined)?.find((node) => declares(node, name));
  return file !== undefined && declaration !== undefined && file.comments.some((it) => isDocOf(it, declaration, file));
}

function declares(node: SyntaxNode, name: string): boolean {
  const declaration = node['declaration'];
  if (node.type !== 'ExportNamedDeclaration' || !isNode(declaration)) return false;
  const declared = (declaration['declarations'] ?? [declaration]) as SyntaxNode[];
  return declared.some(({ id }) => isNode(id) && id['name'] === name);
}

function isDocOf(comment: Comment, declaration: SyntaxNode, file: SourceFile): boolean {
  const isDoc = comment.type === 'Block' && comment.value.startsWith('*');
  return isDoc && comment.end <= declaration.start && file.text.slice(comment.end, declaration.start).trim() === '';
}
