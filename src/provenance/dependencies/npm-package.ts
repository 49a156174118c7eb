// Names, ranges and archives of npm packages: what a lockfile must agree with.
import { z } from 'zod';
import { shown } from '../excerpt.ts';
import { type Dependency, type DependencyFinding, labelOf } from './dependency.ts';
import { parseJsonDocument } from './document.ts';

const specs = z.record(z.string(), z.string()).optional();

/** The fields of a package that ask for others. */
export const wireSpecs = {
  dependencies: specs,
  devDependencies: specs,
  optionalDependencies: specs,
  peerDependencies: specs,
};

const specKinds = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'] as const;

type SpecKind = (typeof specKinds)[number];

export type WireSpecs = { readonly [kind in SpecKind]?: Readonly<Record<string, string>> | undefined };

const wireManifest = z.object(wireSpecs);

interface Spec {
  readonly kind: SpecKind;
  readonly name: string;
  readonly spec: string;
}

/** All that a package asks for. */
export function npmSpecs(wire: WireSpecs): Spec[] {
  return specKinds.flatMap((kind) => Object.entries(wire[kind] ?? {}).map(([name, spec]) => ({ kind, name, spec })));
}

const NPM_NAME = /^(?:@[a-z0-9~][\w.~-]*\/)?[a-z0-9~-][\w.~!'()*-]*$/i;
/** npm's own bound. */
const NPM_NAME_CHARS_MAX = 214;

/** True for a name that the registry has allowed at any time. */
export function isNpmName(name: string): boolean {
  return name.length <= NPM_NAME_CHARS_MAX && NPM_NAME.test(name);
}

interface ManifestAndLock {
  readonly locked: WireSpecs;
  readonly manifest: Uint8Array | null;
  readonly what: string;
}

/** What package.json asks for and the lock does not, or by another range: what `npm ci` refuses. */
export function manifestFindings({ locked, manifest, what }: ManifestAndLock): DependencyFinding[] {
  if (manifest === null) return [];
  const asked = effectiveSpecs(parseJsonDocument(manifest, wireManifest, `the package.json of ${what}`));
  const had = effectiveSpecs(locked);
  return [...new Set([...asked.keys(), ...had.keys()])].flatMap((name) => {
    const [want, have] = [asked.get(name), had.get(name)];
    return want === have
      ? []
      : [{ kind: 'manifest-mismatch', subject: shown(name).slice(1, -1), detail: mismatch(want, have) }];
  });
}

/** By kind and name. npm takes a package that is asked for as optional as well to be optional. */
function effectiveSpecs(wire: WireSpecs): ReadonlyMap<string, string> {
  const asked = npmSpecs(wire);
  const optional = new Set(asked.flatMap(({ kind, name }) => (kind === 'optionalDependencies' ? [name] : [])));
  const effective = asked.filter(({ kind, name }) => kind !== 'dependencies' || !optional.has(name));
  return new Map(effective.map(({ kind, name, spec }) => [`${kind} ${name}`, spec]));
}

function mismatch(want: string | undefined, have: string | undefined): string {
  if (want === undefined) return 'locked, but package.json does not ask for it';
  return have === undefined
    ? 'asked for in package.json, but not locked'
    : `package.json asks for ${shown(want)}, the lock is for ${shown(have)}`;
}

/** An archive of a registry whose path names another package: a lock that was tampered with. */
export function tarballFinding(dependency: Dependency): DependencyFinding | null {
  const path = /^https?:\/\/[^/?#]*\/([^?#]*)/i.exec(dependency.origin ?? '')?.[1];
  const at = path?.lastIndexOf('/-/') ?? -1;
  // Not every registry lays its archives out as npm's does.
  if (path === undefined || at < 0) return null;
  const before = path.slice(0, at).replaceAll(/%40/gi, '@').replaceAll(/%2f/gi, '/');
  const base = dependency.name.slice(dependency.name.lastIndexOf('/') + 1);
  const file =
    path
      .slice(at + '/-/'.length)
      .split('/')
      .at(-1) ?? '';
  const isOfName = before === dependency.name || before.endsWith(`/${dependency.name}`);
  const isScopeCut = dependency.name.startsWith('@') || !/(?:^|\/)@[^/]+\/[^/]+$/.test(before);
  const isOfVersion = file === `${base}-${(dependency.version ?? '').replace(/\+.*$/, '')}.tgz`;
  if (isOfName && isScopeCut && isOfVersion) return null;
  return {
    kind: 'name-mismatch',
    subject: labelOf(dependency),
    detail: 'its lockfile names the archive of another package',
  };
}
