// What the package manager of an image has installed: the databases of dpkg (Debian) and apk (Alpine).
import { shown } from '../excerpt.ts';
import {
  badDependencies,
  type Dependency,
  type DependencyFinding,
  type Inventory,
  labelOf,
  makeDependency,
} from './dependency.ts';
import { type ControlForm, parseParagraphs } from './control-file.ts';
import { parseLines } from './document.ts';
import { inventoryOf, mergeInventories } from './findings.ts';
import { base64Hash, type Hash, hexHash } from './hash.ts';

const DPKG_FORM: Omit<ControlForm, 'what'> = {
  field: /^([A-Za-z0-9][A-Za-z0-9-]*):(.*)$/,
  keys: new Set(['Package', 'Status', 'Version', 'Architecture']),
  continuation: /^[ \t]/,
};

interface DpkgOptions {
  /** The distribution, as os-release names it. */
  readonly vendor?: string;
  /** Packages with a list of the MD5 of their files: `name` or `name:architecture`. */
  readonly listed?: ReadonlySet<string>;
  readonly what?: string;
}

/**
 * Parses `var/lib/dpkg/status`. dpkg keeps no hash of what it unpacked; where it has a list, that of the files is an MD5.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source deb-control(5), dpkg(1)
 */
export function parseDpkgStatus(bytes: Uint8Array, options: DpkgOptions = {}): Inventory {
  const { vendor = 'debian', listed = new Set(), what = 'var/lib/dpkg/status' } = options;
  const paragraphs = parseParagraphs(bytes, { ...DPKG_FORM, what });
  const inventories = paragraphs.flatMap((fields): Inventory[] => {
    const [name, status, version] = [fields.get('Package'), fields.get('Status'), fields.get('Version')];
    if (name === undefined || status === undefined) throw badDependencies(what, 'has an entry without name or status');
    // Removed, or never unpacked.
    if (/ (?:not-installed|config-files)$/.test(status)) return [];
    if (version === undefined) throw badDependencies(what, `has no version of ${shown(name)}`);
    const arch = fields.get('Architecture') ?? 'all';
    checkSystemName(name, what);
    const dependency = makeDependency({ ecosystem: 'deb', vendor, name, version, qualifiers: { arch } }, what);
    const isListed = listed.has(name) || listed.has(`${name}:${arch}`);
    const weak: DependencyFinding = {
      kind: 'weak-integrity',
      subject: labelOf(dependency),
      detail: 'md5 alone can be forged',
    };
    return [isListed ? { dependencies: [dependency], findings: [weak] } : inventoryOf([dependency])];
  });
  return mergeInventories(inventories);
}

const APK_FORM: Omit<ControlForm, 'what'> = {
  field: /^([A-Za-z]):(.*)$/,
  keys: new Set(['C', 'P', 'V', 'A']),
  continuation: null,
};

/**
 * Parses `lib/apk/db/installed`. Its checksum is one of the package's control part, which names the hash of the data: it is
 * judged here, and not listed as a hash of the package.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES
 * @source https://wiki.alpinelinux.org/wiki/Apk_spec
 */
export function parseApkInstalled(bytes: Uint8Array, vendor = 'alpine', what = 'lib/apk/db/installed'): Inventory {
  const inventories = parseParagraphs(bytes, { ...APK_FORM, what }).map((fields): Inventory => {
    const [name, version, checksum] = [fields.get('P'), fields.get('V'), fields.get('C')];
    if (name === undefined || version === undefined)
      throw badDependencies(what, 'has an entry without name or version');
    checkSystemName(name, what);
    const arch = fields.get('A');
    const qualifiers = arch === undefined ? {} : { arch };
    const dependency = makeDependency({ ecosystem: 'apk', vendor, name, version, qualifiers }, what);
    return checksum === undefined
      ? inventoryOf([dependency])
      : { dependencies: [dependency], findings: checksumFindings(dependency, checksum, what) };
  });
  return mergeInventories(inventories);
}

function checksumFindings(dependency: Dependency, checksum: string, what: string): DependencyFinding[] {
  const [kind, text] = [checksum.slice(0, 2), checksum.slice(2)];
  const hash = kind === 'Q1' ? base64Hash('sha1', text) : kind === 'Q2' ? base64Hash('sha256', text) : null;
  if (hash === null) throw badDependencies(what, `has a checksum that is none: ${shown(checksum)}`);
  if (hash.algorithm === 'sha256') return [];
  return [{ kind: 'weak-integrity', subject: labelOf(dependency), detail: 'sha1 alone can be forged' }];
}

function checkSystemName(name: string, what: string): void {
  if (!/^[A-Za-z0-9_.][A-Za-z0-9+._-]*$/.test(name)) {
    throw badDependencies(what, `has a package name that is none: ${shown(name)}`);
  }
}

/** A file that a package has installed, and its MD5: enough to find damage, not to find an attacker. */
export interface InstalledFile {
  /** Without a leading slash. */
  readonly path: string;
  readonly hash: Hash;
}

/**
 * Parses a list of `var/lib/dpkg/info/*.md5sums`.
 *
 * @throws ProvenanceError PROVENANCE_DEPENDENCIES, also for a path that leaves the root
 */
export function parseMd5sums(bytes: Uint8Array, what = 'md5sums'): InstalledFile[] {
  const lines = parseLines(bytes, what).filter((line) => line !== '');
  return lines.map((line) => {
    const hash = hexHash('md5', line.slice(0, 32));
    const path = line.slice(34);
    const isOutside = path.split('/').some((segment) => segment === '' || segment === '.' || segment === '..');
    if (hash === null || line.slice(32, 34) !== '  ' || isOutside || path.includes('\0')) {
      throw badDependencies(what, `has a line that is none of its form: ${shown(line)}`);
    }
    return { path, hash };
  });
}
