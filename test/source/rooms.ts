// The rooms of the package and the arrows between them: the table of ARCHITECTURE.md as data, and what breaks it.
import { posix } from 'node:path';
import { type Import, importsOf, isNode, lineOf, nodesOf, type SourceFile, type SyntaxNode } from './source-file.ts';

/** Room → rooms it may import, each through its door. A new arrow needs a reason in the commit. */
export const ROOMS: ReadonlyMap<string, readonly string[]> = new Map([
  ['base', []],
  ['api', ['base']],
  ['artifact', ['base']],
  ['store', ['base']],
  ['ledger', ['base']],
  ['trust', ['base', 'artifact']],
  ['provenance', ['base', 'artifact', 'trust', 'ledger']],
  ['analysis', ['base', 'artifact', 'trust']],
  ['behaviour', ['base', 'artifact', 'trust']],
  ['reputation', ['base', 'artifact', 'trust']],
  ['policy', ['base', 'artifact', 'trust']],
  ['sandbox', ['base', 'artifact', 'behaviour', 'policy']],
  ['response', ['base', 'artifact', 'behaviour', 'policy']],
  ['plugins', ['base', 'artifact', 'provenance', 'trust', 'policy', 'sandbox', 'store']],
  ['arbitration', ['base', 'plugins']],
  [
    'engine',
    [
      'base',
      'api',
      'artifact',
      'store',
      'ledger',
      'trust',
      'provenance',
      'analysis',
      'behaviour',
      'reputation',
      'policy',
      'sandbox',
      'response',
      'plugins',
      'arbitration',
    ],
  ],
  ['server', ['base', 'api', 'engine']],
  // `provost serve` is the supervisor in the foreground: the command loads that room, and only that command does.
  ['cli', ['base', 'api', 'engine', 'server']],
  ['kubernetes', ['base', 'api']],
  ['dashboard', ['api']],
]);

const DOOR = 'index.ts';

/** Only these start processes; the engine asks `sandbox`, the edges start supervisor and guard. */
const PROCESS_ROOMS: ReadonlySet<string> = new Set(['sandbox', 'cli', 'server']);
const PROCESS_MODULES: ReadonlySet<string> = new Set(['node:child_process', 'node:cluster']);

/** Only these are asked for system calls that Node does not have: `artifact` to unpack, `sandbox` to confine. */
const KOFFI_ROOMS: ReadonlySet<string> = new Set(['artifact', 'sandbox']);

/** Rooms that decide: the same input gives the same bits, so they read no clock, no file, no environment. */
const PURE_ROOMS: ReadonlySet<string> = new Set(['trust', 'policy', 'response']);
/** The whole of Node that a pure room may use. */
const PURE_MODULES: ReadonlyMap<string, readonly string[]> = new Map([['node:crypto', ['createHash']]]);
const IMPURE_NAMES: ReadonlySet<string> = new Set([
  'process',
  'performance',
  'systemClock',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'crypto',
  'console',
  'fetch',
  'WebSocket',
  'EventSource',
  'navigator',
  'globalThis',
  'eval',
  'Function',
]);
const IMPURE_MEMBERS: ReadonlySet<string> = new Set(['Date.now', 'Math.random']);

/** A way around this very table. */
const LOADER_MODULES: ReadonlySet<string> = new Set(['node:module', 'node:vm']);

/**
 * What in `file` breaks the table, one sentence each. Tests beside the code keep to the arrows too, but may start
 * processes, read clocks and use development packages.
 *
 * @param packages the runtime dependencies of package.json
 */
export function breaches(file: SourceFile, packages: ReadonlySet<string>): string[] {
  const room = roomOf(file.path);
  if (room === null) return [`${file.path}: lies in no room`];
  if (!ROOMS.has(room)) return [`${file.path}: room '${room}' is not in the table`];
  const importer = { path: file.path, room, isTest: file.path.endsWith('.test.ts') };
  const found = importsOf(file).flatMap((each) => {
    const why = importBreach(importer, each, packages);
    return why === null ? [] : [`${file.path}:${each.line}: ${why}`];
  });
  return importer.isTest || !PURE_ROOMS.has(room) ? found : [...found, ...impurities(file, room)];
}

function roomOf(path: string): string | null {
  const [top, room, inside] = path.split('/');
  return top === 'src' && room !== undefined && inside !== undefined ? room : null;
}

interface Importer {
  readonly path: string;
  readonly room: string;
  readonly isTest: boolean;
}

function importBreach(importer: Importer, wanted: Import, packages: ReadonlySet<string>): string | null {
  const { specifier, names } = wanted;
  if (specifier === null) return 'a computed import reaches what no one can check';
  if (specifier.startsWith('.')) return pathBreach(importer, specifier);
  const isNodes = specifier.startsWith('node:');
  if (specifier.startsWith('/') || specifier.includes(':') !== isNodes)
    return `'${specifier}' is neither a neighbour, nor of Node, nor a package`;
  if (importer.isTest) return null;
  return isNodes ? nodeBreach(importer.room, specifier, names) : packageBreach(importer.room, specifier, packages);
}

function pathBreach({ path, room, isTest }: Importer, specifier: string): string | null {
  const target = posix.join(posix.dirname(path), specifier);
  const targetRoom = roomOf(target);
  if (targetRoom === null) return isTest && target.startsWith('test/') ? null : `'${specifier}' leaves the rooms`;
  if (targetRoom === room) return null;
  if (target !== `src/${targetRoom}/${DOOR}`) return `'${specifier}' passes the door of '${targetRoom}'`;
  return ROOMS.get(room)?.includes(targetRoom) === true ? null : `'${room}' may not import '${targetRoom}'`;
}

function nodeBreach(room: string, specifier: string, names: readonly string[]): string | null {
  if (LOADER_MODULES.has(specifier)) return `'${specifier}' loads code past this table`;
  if (PROCESS_MODULES.has(specifier) && !PROCESS_ROOMS.has(room)) return `'${room}' starts no processes`;
  if (!PURE_ROOMS.has(room)) return null;
  const allowed = PURE_MODULES.get(specifier) ?? [];
  return names.length > 0 && names.every((name) => allowed.includes(name))
    ? null
    : `'${room}' is pure: '${specifier}' is not`;
}

function packageBreach(room: string, specifier: string, packages: ReadonlySet<string>): string | null {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  if (!packages.has(name)) return `'${name}' is not a dependency of package.json`;
  return name === 'koffi' && !KOFFI_ROOMS.has(room) ? `'${room}' makes no system calls of its own` : null;
}

/** Uses of clocks, randomness, environment, timers and network that need no import. */
function impurities(file: SourceFile, room: string): string[] {
  const names = new Set<string>();
  const skipped = new Set<SyntaxNode>();
  for (const node of nodesOf(file.program)) {
    // A property or a key may be called anything: it is the free name that reaches the host.
    const label = node.type === 'MemberExpression' ? node['property'] : node['key'];
    if (isNode(label) && node['computed'] !== true) skipped.add(label);
    const name = skipped.has(node) ? null : impureName(node);
    if (name !== null) names.add(`${file.path}:${lineOf(file, node)}: '${room}' is pure: ${name} is not`);
  }
  return [...names];
}

function impureName(node: SyntaxNode): string | null {
  if (node.type === 'Identifier') {
    const name = String(node['name']);
    return IMPURE_NAMES.has(name) ? name : null;
  }
  if (node.type === 'NewExpression' || node.type === 'CallExpression') {
    const isDate = isNode(node['callee']) && node['callee']['name'] === 'Date';
    return isDate && (node['arguments'] as unknown[]).length === 0 ? 'a date of now' : null;
  }
  if (node.type !== 'MemberExpression' || !isNode(node['object']) || !isNode(node['property'])) return null;
  const member = `${String(node['object']['name'])}.${String(node['property']['name'] ?? node['property']['value'])}`;
  return IMPURE_MEMBERS.has(member) ? member : null;
}
