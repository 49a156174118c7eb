// All files of an artifact that name dependencies: which these are, and one inventory of them.
import { posix } from 'node:path';
import { z } from 'zod';
import { shown } from '../excerpt.ts';
import { parseCycloneDx } from './cyclonedx.ts';
import { badDependencies, checkCount, type Inventory } from './dependency.ts';
import { parseJsonDocument } from './document.ts';
import { mergeInventories } from './findings.ts';
import { parseGoSum } from './go-modules.ts';
import { parsePackageLock } from './npm-lock.ts';
import { unlockedFindings } from './unlocked.ts';
import { parsePipfileLock } from './pipfile-lock.ts';
import { parseRequirements } from './pip-requirements.ts';
import { parsePnpmLock } from './pnpm-lock.ts';
import { parsePoetryLock, parseUvLock } from './python-locks.ts';
import { parseSpdx } from './spdx.ts';
import { parseApkInstalled, parseDpkgStatus } from './system-packages.ts';
import { parseYarnLock } from './yarn-lock.ts';

/** Files of one artifact that are read together: an image has a list of files for each of its packages. */
const FILES_MAX = 16_384;

/** A file of an artifact. */
export interface DependencyFile {
  /** From the root of the artifact, with slashes and without a leading one. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** The distribution of system packages. */
interface Vendor {
  readonly deb: string;
  readonly apk: string;
}

const DEFAULT_VENDOR: Vendor = { deb: 'debian', apk: 'alpine' };

interface ReadInput {
  readonly bytes: Uint8Array;
  /** The path, for messages. */
  readonly what: string;
  /** A file of the same folder. */
  readonly beside: (name: string) => Uint8Array | null;
  /** Packages of dpkg with a list of their files. */
  readonly listed: ReadonlySet<string>;
  readonly vendor: Vendor;
}

type Reader = (input: ReadInput) => Inventory;

const readNpmLock: Reader = ({ bytes, beside, what }) => parsePackageLock(bytes, beside('package.json'), what);
const readHiddenLock: Reader = ({ bytes, what }) => parsePackageLock(bytes, null, what);
const readDpkg: Reader = ({ bytes, listed, vendor, what }) =>
  parseDpkgStatus(bytes, { vendor: vendor.deb, listed, what });
const readApk: Reader = ({ bytes, vendor, what }) => parseApkInstalled(bytes, vendor.apk, what);

const READERS: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ['package-lock.json', readNpmLock],
  ['npm-shrinkwrap.json', readNpmLock],
  ['yarn.lock', ({ bytes, what }) => parseYarnLock(bytes, what)],
  ['pnpm-lock.yaml', ({ bytes, beside, what }) => parsePnpmLock(bytes, beside('package.json'), what)],
  ['requirements.txt', ({ bytes, what }) => parseRequirements(bytes, what)],
  ['Pipfile.lock', ({ bytes, what }) => parsePipfileLock(bytes, what)],
  ['poetry.lock', ({ bytes, what }) => parsePoetryLock(bytes, what)],
  ['uv.lock', ({ bytes, what }) => parseUvLock(bytes, what)],
  ['go.sum', ({ bytes, beside, what }) => parseGoSum(bytes, beside('go.mod'), what)],
]);

const DPKG_STATUS = 'var/lib/dpkg/status';
const DPKG_INFO = 'var/lib/dpkg/info/';
const APK_INSTALLED = 'lib/apk/db/installed';
const COMPANIONS: ReadonlySet<string> = new Set(['package.json', 'go.mod']);
const SBOM_NAME = /(?:^|\.)(?:bom|sbom|cdx|spdx)\.json$/;

/** npm's own note of what it has installed, in the folder itself. */
const HIDDEN_LOCK = /^(?:(?!.*node_modules\/.*node_modules\/).*\/)?node_modules\/\.package-lock\.json$/;
/** Below these lies what was installed; lockfiles in there are those of others, and most of them test data. */
const INSTALLED_FOLDER = /(?:^|\/)(?:node_modules|site-packages|dist-packages)\//;

/** True for a file that {@link readInventory} makes use of, by its path: for choosing which ones to hand over. */
export function isDependencyFile(path: string): boolean {
  return isMd5List(path) || readerOf(path) !== null || isManifest(path);
}

function isMd5List(path: string): boolean {
  return path.startsWith(DPKG_INFO) && path.endsWith('.md5sums');
}

function isManifest(path: string): boolean {
  return !INSTALLED_FOLDER.test(path) && COMPANIONS.has(posix.basename(path));
}

function readerOf(path: string): Reader | null {
  if (path === DPKG_STATUS) return readDpkg;
  if (path === APK_INSTALLED) return readApk;
  if (HIDDEN_LOCK.test(path)) return readHiddenLock;
  if (INSTALLED_FOLDER.test(path)) return null;
  const base = posix.basename(path);
  return SBOM_NAME.test(base) ? readSbom : (READERS.get(base) ?? null);
}

/**
 * Reads everything that the files of an artifact say about its dependencies; files of other names are left out. Null when
 * no lockfile, database or SBOM is among them.
 *
 * @param vendor the distribution of the system packages, as os-release names it
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES for the first file, by path, that cannot be read
 */
export function readInventory(files: readonly DependencyFile[], vendor: Vendor = DEFAULT_VENDOR): Inventory | null {
  if (files.length > FILES_MAX) throw badDependencies('the artifact', `has more than ${FILES_MAX} files to read`);
  const byPath = new Map(files.map(({ path, bytes }) => [path, bytes]));
  const paths = [...byPath.keys()].sort();
  const listed = new Set(paths.filter(isMd5List).map((path) => path.slice(DPKG_INFO.length, -'.md5sums'.length)));
  const inventories = paths.flatMap((path): Inventory[] => {
    const beside = (name: string): Uint8Array | null => byPath.get(posix.join(posix.dirname(path), name)) ?? null;
    const bytes = byPath.get(path) ?? new Uint8Array();
    const reader = readerOf(path);
    return reader === null ? [] : [reader({ bytes, what: whatOf(path), beside, listed, vendor })];
  });
  if (inventories.length === 0) return null;
  const manifests = new Map(paths.filter(isManifest).map((path) => [path, byPath.get(path) ?? new Uint8Array()]));
  checkCount(
    inventories.reduce((sum, { dependencies }) => sum + dependencies.length, 0),
    'the artifact',
  );
  return mergeInventories([...inventories, { dependencies: [], findings: unlockedFindings(manifests, paths) }]);
}

const wireKind = z.object({ bomFormat: z.unknown(), spdxVersion: z.unknown() }).partial();

const readSbom: Reader = ({ bytes, what }) => parseSbom(bytes, what);

/**
 * Parses an SBOM in either form, CycloneDX or SPDX.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES
 */
export function parseSbom(bytes: Uint8Array, what = 'the SBOM'): Inventory {
  const { spdxVersion } = parseJsonDocument(bytes, wireKind, what);
  return spdxVersion === undefined ? parseCycloneDx(bytes, what) : parseSpdx(bytes, what);
}

/** attacker-controlled: paths of an artifact. */
function whatOf(path: string): string {
  return shown(path).slice(1, -1);
}
