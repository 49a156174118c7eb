// Names of Go modules and their versions: which are canonical, and how they are written in a URL. @source golang.org/x/mod, module and semver

/** Longest path or version that is read: Go knows no limit, and URLs do. */
const NAME_CHARS_MAX = 1024;

/** Of a file name on Windows, whatever follows its first dot. */
const WINDOWS_NAMES = /^(?:con|prn|aux|nul|com[1-9]|lpt[1-9])$/i;
const PATH_ELEMENT = /^[-.\w~]+$/;
const FIRST_ELEMENT = /^[a-z\d.][-.a-z\d]*$/;
const GOPKG_IN = 'gopkg.in/';
const NUMBER = '(?:0|[1-9]\\d*)';
/** A version with all its three numbers; a number before a build may not begin with a zero. */
const VERSION = new RegExp(
  `^v(${NUMBER})\\.${NUMBER}\\.${NUMBER}(?:-(?:${NUMBER}|\\d*[A-Za-z-][\\dA-Za-z-]*)(?:\\.(?:${NUMBER}|\\d*[A-Za-z-][\\dA-Za-z-]*))*)?(\\+incompatible)?$`,
);

/** A module at a version, as records of a checksum database name it. */
export interface GoModule {
  readonly path: string;
  readonly version: string;
}

/** Why Go would not take a module of this name and version; null when it is canonical. */
export function faultOfModule({ path, version }: GoModule): string | null {
  if (path.length > NAME_CHARS_MAX || version.length > NAME_CHARS_MAX) return 'its name is too long';
  const elements = path.split('/');
  if (!elements.every(isElement)) return 'its path holds an element that Go does not allow';
  const [first = ''] = elements;
  if (!FIRST_ELEMENT.test(first) || !first.includes('.')) return 'its path does not begin with a domain';
  const [, major, build] = VERSION.exec(version) ?? [];
  if (major === undefined) return 'its version is not canonical';
  const suffix = majorSuffix(path);
  if (suffix === null) return 'its path ends in a major version that Go does not allow';
  return isOfMajor(suffix, { version, major, build }) ? null : 'its version is not of the path’s major version';
}

function isElement(element: string): boolean {
  if (!PATH_ELEMENT.test(element) || element.startsWith('.') || element.endsWith('.')) return false;
  const [short = ''] = element.split('.');
  return !WINDOWS_NAMES.test(short) && !/~\d+$/.test(short);
}

/** The part of a path that says its major version: `/v2`, of gopkg.in `.v2`; empty when it says none, null when Go does not allow it. */
function majorSuffix(path: string): string | null {
  if (path.startsWith(GOPKG_IN)) return /(\.v(?:0|[1-9]\d*)(?:-unstable)?)$/.exec(path)?.[1] ?? null;
  const [suffix] = /\/v[\d.]+$/.exec(path) ?? [''];
  return suffix === '' || /^\/v(?:[2-9]|[1-9]\d+)$/.test(suffix) ? suffix : null;
}

interface VersionParts {
  readonly version: string;
  readonly major: string;
  readonly build: string | undefined;
}

function isOfMajor(suffix: string, { version, major, build }: VersionParts): boolean {
  const wanted = suffix.replace(/-unstable$/, '');
  // Pseudo-versions of gopkg.in were once made so.
  if (wanted === '.v1' && version.startsWith('v0.0.0-')) return true;
  if (wanted === '') return major === '0' || major === '1' || build !== undefined;
  return wanted.slice(2) === major;
}

/** Parses `<path>@<version>` as a URL has it, with `!x` for each capital letter; null when it is none. */
export function parseEscapedModule(text: string): GoModule | null {
  if (text.length > 2 * NAME_CHARS_MAX || /[A-Z]/.test(text)) return null;
  const plain = text.replaceAll(/![a-z]/g, (pair) => pair.slice(1).toUpperCase());
  const [path = '', version = '', ...rest] = plain.split('@');
  const isModule = rest.length === 0 && !plain.includes('!') && faultOfModule({ path, version }) === null;
  return isModule ? { path, version } : null;
}
