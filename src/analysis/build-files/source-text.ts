// From bytes of a stranger to text whose lines every reader counts alike; and what kind of build file a path names.

/** Build files are a few pages; beyond this they are data. */
export const FILE_BYTES_MAX = 256 * 1024;

/** What is judged: a text or why there is none. */
export type SourceText = { readonly text: string } | { readonly fault: string };

/** The kinds of build files that are judged. */
export type BuildFileKind = 'dockerfile' | 'workflow' | 'action' | 'gitlab';

/** Byte order marks are dropped, as Docker and YAML readers do. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Reads UTF-8 with line feeds, with or without carriage returns before them. */
export function readSourceText(bytes: Uint8Array): SourceText {
  const decoded = decode(bytes);
  if (decoded === null) return { fault: 'it is not UTF-8' };
  const text = decoded.replaceAll('\r\n', '\n');
  // A lone return ends a line for some readers and not for others; the others below hide text from people.
  const odd = /[\p{Cc}--[\t\n]]|[\u2028\u2029\u202A-\u202E\u2066-\u2069]/v.exec(text);
  if (odd === null) return { text };
  const line = text.slice(0, odd.index).split('\n').length;
  return { fault: `line ${line} has the control character U+${hex(odd[0])}` };
}

function decode(bytes: Uint8Array): string | null {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    // The only failure of this decoder: the caller reports it as a finding.
    return null;
  }
}

function hex(char: string): string {
  return char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0');
}

/** Says what build file a path names, or null. Docker takes names in any case on systems that do not tell them apart. */
export function buildFileKindOf(path: string): BuildFileKind | null {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (/(^|\/)\.github\/workflows\/[^/]+\.ya?ml$/i.test(path)) return 'workflow';
  if (/^action\.ya?ml$/i.test(name)) return 'action';
  if (/^\.gitlab-ci\.ya?ml$/i.test(name)) return 'gitlab';
  // Lists of what to ignore, texts about Dockerfiles, and settings of other tools.
  if (/\.(dockerignore|containerignore|md|rst|adoc|html?|json|ya?ml|gz|vim)$/i.test(name)) return null;
  return /^(docker|container)file(\..+)?$|.\.(docker|container)file$/i.test(name) ? 'dockerfile' : null;
}

/** Whether {@link judgeBuildFiles} looks at a file of this path. */
export function isBuildFile(path: string): boolean {
  return buildFileKindOf(path) !== null || isIgnoreFile(path);
}

/** Whether a file tells Docker or Podman what to leave out of the build. */
export function isIgnoreFile(path: string): boolean {
  return /(^|\/|\.)(docker|container)ignore$/i.test(path);
}
