// Our own sources as syntax trees: what the tests of style and boundaries read. TypeScript 7 has no parser for programs, so oxc's it is.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseSync } from 'oxc-parser';

/** The folder of the package. */
export const PROJECT_FOLDER = resolve(import.meta.dirname, '../..');

/** Any node of the tree; `start` and `end` count UTF-16 units of the text. */
export interface SyntaxNode {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface Comment {
  readonly type: 'Line' | 'Block';
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

export interface SourceFile {
  /** From the package's folder, with `/`. */
  readonly path: string;
  readonly text: string;
  readonly program: SyntaxNode;
  readonly comments: readonly Comment[];
}

/** One place where a file asks for another one or for a package, whatever the syntax. */
export interface Import {
  /** Null when it is computed: nobody can say then what it reaches. */
  readonly specifier: string | null;
  /** What it takes; `*` for everything. */
  readonly names: readonly string[];
  readonly line: number;
}

/** Parses one file; a file that does not parse is an error, not an empty tree. */
export function parseSource(path: string, text: string): SourceFile {
  const parsed = parseSync(path, text);
  const [error] = parsed.errors;
  if (error !== undefined) throw new SyntaxError(`${path}: ${error.message}`);
  return { path, text, program: parsed.program as unknown as SyntaxNode, comments: parsed.comments };
}

/** All TypeScript files under the folders of the package. */
export function readSources(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(PROJECT_FOLDER, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => relative(PROJECT_FOLDER, join(entry.parentPath, entry.name)))
      .map((path) => parseSource(path, readFileSync(join(PROJECT_FOLDER, path), 'utf8'))),
  );
}

/** Every node under and including `root`, parents first. */
export function* nodesOf(root: SyntaxNode): Generator<SyntaxNode> {
  yield root;
  for (const value of Object.values(root)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) yield* nodesOf(child);
    }
  }
}

/** The line, from 1, on which a node begins. */
export function lineOf(file: SourceFile, node: { readonly start: number }): number {
  return file.text.slice(0, node.start).split('\n').length;
}

/** Every import of the file: static, re-exported, dynamic, in a type, or by `require`. */
export function importsOf(file: SourceFile): Import[] {
  const imports: Import[] = [];
  for (const node of nodesOf(file.program)) {
    const source = sourceOf(node);
    if (source !== undefined)
      imports.push({ specifier: literalOf(source), names: namesOf(node), line: lineOf(file, node) });
  }
  return imports;
}

/** The node that names what is imported; undefined when `node` imports nothing. */
function sourceOf(node: SyntaxNode): unknown {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportAllDeclaration':
    case 'ImportExpression':
    case 'TSImportType':
      return node['source'];
    case 'ExportNamedDeclaration':
      return node['source'] ?? undefined;
    case 'TSExternalModuleReference':
      return node['expression'];
    case 'CallExpression':
      return isRequire(node['callee']) ? (node['arguments'] as unknown[])[0] : undefined;
    default:
      return undefined;
  }
}

function isRequire(callee: unknown): boolean {
  return isNode(callee) && callee.type === 'Identifier' && callee['name'] === 'require';
}

function namesOf(node: SyntaxNode): string[] {
  const specifiers = node['specifiers'];
  if (!Array.isArray(specifiers)) return ['*'];
  return (specifiers as SyntaxNode[]).map((specifier) => {
    if (specifier.type === 'ImportNamespaceSpecifier') return '*';
    if (specifier.type === 'ImportDefaultSpecifier') return 'default';
    const name = specifier['imported'] ?? specifier['local'];
    return isNode(name) ? String(name['name'] ?? name['value']) : '*';
  });
}

/** The text of a string literal, or of a template without holes; null for anything computed. */
export function literalOf(node: unknown): string | null {
  if (!isNode(node)) return null;
  if (node.type === 'Literal' && typeof node['value'] === 'string') return node['value'];
  if (node.type !== 'TemplateLiteral') return null;
  const quasis = node['quasis'] as { value: { cooked: string } }[];
  return quasis.length === 1 ? (quasis[0]?.value.cooked ?? null) : null;
}

/** True for a value of the tree that is a node of its own. */
export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}
