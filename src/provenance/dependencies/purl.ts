// Package URLs: the one name of a package across ecosystems. The library reads and writes them; what is ours are the limits.
import { PackageURL } from 'packageurl-js';
import { messageOf } from '../../base/index.ts';
import { shown } from '../excerpt.ts';
import { badDependencies, checkedText } from './dependency.ts';

const PURL_CHARS_MAX = 2048;

export interface Purl {
  readonly type: string;
  readonly namespace: string | null;
  readonly name: string;
  readonly version: string | null;
  readonly qualifiers: ReadonlyMap<string, string>;
  readonly subpath: string | null;
  /** The canonical form, as the library writes it. */
  readonly text: string;
}

/** Ecosystems whose namespace is a distribution and no part of the name. */
const SYSTEM_TYPES: ReadonlySet<string> = new Set(['deb', 'apk', 'rpm', 'alpm', 'qpkg', 'oci']);

/**
 * Parses a package URL.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://github.com/package-url/purl-spec
 */
export function parsePurl(text: string, what = 'the document'): Purl {
  checkedText(text, { what, field: 'a purl', charsMax: PURL_CHARS_MAX });
  const purl = fromLibrary(text, what);
  // The library takes an `@` behind the last slash for a part of the name, which then is missing.
  if (purl.name.startsWith('@')) throw badDependencies(what, `has a purl without a name: ${shown(text)}`);
  return {
    type: purl.type,
    namespace: purl.namespace ?? null,
    name: purl.name,
    version: purl.version ?? null,
    qualifiers: new Map(Object.entries(purl.qualifiers ?? {})),
    subpath: purl.subpath ?? null,
    text: written(purl),
  };
}

function fromLibrary(text: string, what: string): PackageURL {
  try {
    return PackageURL.fromString(text);
  } catch (error) {
    throw badDependencies(what, `has a purl that is none: ${shown(text)} (${shown(messageOf(error))})`, error);
  }
}

/** The canonical form. The library encodes colons, which the standard has as they are, and leaves the plus of a version. */
function written(purl: PackageURL): string {
  const [type = '', ...rest] = PackageURL.prototype.toString.call(purl).split('/');
  return [type, rest.join('/').replaceAll('%3A', ':').replaceAll('+', '%2B')].join('/');
}

/** The package's name as its ecosystem writes it, with the namespace where that is part of the name. */
export function nameOfPurl({ type, namespace, name }: Purl): string {
  return namespace === null || SYSTEM_TYPES.has(type) ? name : `${namespace}/${name}`;
}

interface PurlParts {
  readonly ecosystem: string;
  readonly vendor: string | null;
  readonly name: string;
  readonly version: string | null;
  readonly qualifiers: Readonly<Record<string, string>>;
}

/** Writes the purl of a package; null when the library finds that there can be none. */
export function purlOf({ ecosystem, vendor, name, version, qualifiers }: PurlParts): string | null {
  const slash = name.lastIndexOf('/');
  const namespace = vendor ?? (slash < 0 ? null : name.slice(0, slash));
  const base = vendor === null ? name.slice(slash + 1) : name;
  try {
    return written(new PackageURL(ecosystem, namespace, base, version, qualifiers, null));
  } catch {
    // A name that its ecosystem does not allow: it is listed under its name alone.
    return null;
  }
}
