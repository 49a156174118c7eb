// What Go would build with: go.sum, and the go.mod beside it.
import { shown } from '../excerpt.ts';
import {
  badDependencies,
  checkCount,
  type Dependency,
  type DependencyFinding,
  type Inventory,
  labelOf,
  makeDependency,
} from './dependency.ts';
import { parseLines } from './document.ts';
import { inventoryOf } from './findings.ts';
import { base64Hash } from './hash.ts';
import { type GoModule, type GoReplacement, isModulePath, parseGoMod } from './go-mod.ts';

/**
 * Parses a go.sum; with `manifest`, the go.mod beside it, also whether every required module has its hash there. A module
 * of which go.sum has the go.mod alone is not built. A module is named by where it comes from: that is its origin.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://go.dev/ref/mod#go-sum-files
 */
export function parseGoSum(bytes: Uint8Array, manifest: Uint8Array | null = null, what = 'go.sum'): Inventory {
  const mod = manifest === null ? null : parseGoMod(manifest, `the go.mod of ${what}`);
  const built = parseLines(bytes, what)
    .filter((line) => line.trim() !== '')
    .flatMap((line) => readLine(line, what) ?? []);
  const missing = (mod?.requires ?? []).map((required) => replacedModule(required, mod?.replaces ?? []));
  const known = new Set(built.map(({ name, version }) => `${name}@${version}`));
  const unhashed = missing.flatMap((module) => {
    if (module === null || known.has(`${module.path}@${module.version}`)) return [];
    return [goDependency(module, null, what)];
  });
  checkCount(built.length + unhashed.length, what);
  const replaced = (mod?.replaces ?? []).flatMap((replacement) => replacementFinding(replacement) ?? []);
  return inventoryOf(
    [...built, ...unhashed],
    [
      ...replaced,
      ...unhashed.map((dependency): DependencyFinding => {
        const detail = 'go.mod requires it, and go.sum has no hash of it';
        return { kind: 'manifest-mismatch', subject: labelOf(dependency), detail };
      }),
    ],
  );
}

/** Null for the hash of a go.mod alone. */
function readLine(line: string, what: string): Dependency | null {
  const [path = '', version = '', sum = '', ...rest] = line.trim().split(/\s+/);
  const hash = sum.startsWith('h1:') ? base64Hash('h1', sum.slice('h1:'.length)) : null;
  if (rest.length > 0 || hash === null || !isModulePath(path) || !version.startsWith('v')) {
    throw badDependencies(what, `has a line that is none of go.sum: ${shown(line)}`);
  }
  return version.endsWith('/go.mod') ? null : goDependency({ path, version }, sum, what);
}

function goDependency({ path, version }: GoModule, sum: string | null, what: string): Dependency {
  const hash = sum === null ? null : base64Hash('h1', sum.slice('h1:'.length));
  const origin = path.split('/')[0]?.includes('.') === true ? `https://${path}` : null;
  return makeDependency(
    { ecosystem: 'golang', name: path, version, hashes: hash === null ? [] : [hash], origin },
    what,
  );
}

/** The module that is built for a required one; null for a folder. */
function replacedModule(required: GoModule, replaces: readonly GoReplacement[]): GoModule | null {
  const fits = replaces.filter(({ from }) => from.path === required.path);
  const by = fits.find(({ from }) => from.version === required.version) ?? fits.find(({ from }) => from.version === '');
  return by === undefined ? required : by.to;
}

function replacementFinding({ from, to, folder }: GoReplacement): DependencyFinding | null {
  if (to !== null) return null;
  const detail = `it is replaced by the folder ${shown(folder ?? '')}`;
  return { kind: 'not-from-registry', subject: shown(from.path).slice(1, -1), detail };
}
