// Judges the files that say how software is built: Dockerfiles and the workflows of CI systems. Pure.
import { judgeDockerfile } from './dockerfile-rules.ts';
import {
  type BuildFileFinding,
  compareByWorst,
  compareFindings,
  compareText,
  findingOf,
  type Note,
} from './finding.ts';
import { judgeGitlab } from './gitlab-rules.ts';
import { type BuildFileKind, buildFileKindOf, FILE_BYTES_MAX, isIgnoreFile, readSourceText } from './source-text.ts';
import { judgeAction, judgeWorkflow } from './workflow-rules.ts';

/** A file of a source tree; only build files are looked into. */
export interface BuildFile {
  /** Relative to the root of the tree, with slashes. Attacker-controlled. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What was judged and what came out. */
export interface BuildFileJudgement {
  /** By file, line and rule; at most 1000, the worst of all. */
  readonly findings: readonly BuildFileFinding[];
  /** The build files that were judged, sorted. */
  readonly paths: readonly string[];
}

/** A repository has a dozen build files; a very large one has hundreds. */
const FILES_MAX = 256;

/** More than anybody reads, and enough to make the score the lowest. */
const FINDINGS_MAX = 1000;

/**
 * Judges every Dockerfile (`Dockerfile`, `Containerfile`, `*.Dockerfile`, `Dockerfile.*`), GitHub workflow, `action.yml` and
 * `.gitlab-ci.yml` among the files. Never throws for their content: what cannot be read, or goes beyond a limit (256 KiB a
 * file, 256 build files, 1000 findings), is itself a critical finding. The order of the files does not matter.
 */
export function judgeBuildFiles(files: readonly BuildFile[]): BuildFileJudgement {
  const known = files.flatMap((file) => {
    const kind = buildFileKindOf(file.path);
    return kind === null ? [] : [{ ...file, kind }];
  });
  known.sort((a, b) => compareText(a.path, b.path) || Buffer.compare(a.bytes, b.bytes));
  const hasIgnoreFile = files.some(({ path, bytes }) => isIgnoreFile(path) && hasPattern(bytes));
  const found = known.slice(0, FILES_MAX).flatMap((file) => judgeFile(file, hasIgnoreFile));
  const next = known[FILES_MAX];
  if (next !== undefined)
    found.push(findingOf('file.limit', next.path, 1, `there are more than ${FILES_MAX} build files`));
  return { findings: worstOf(found), paths: known.slice(0, FILES_MAX).map(({ path }) => path) };
}

function judgeFile(file: BuildFile & { readonly kind: BuildFileKind }, hasIgnoreFile: boolean): BuildFileFinding[] {
  const found = new Map<string, BuildFileFinding>();
  const note: Note = (rule, line, message) => {
    const finding = findingOf(rule, file.path, line, message);
    // A secret can be seen on its line and again as a value there: it is one finding.
    const key = rule.startsWith('file.') ? `${finding.line} ${rule}` : `${finding.line} ${rule} ${message}`;
    if (!found.has(key)) found.set(key, finding);
  };
  if (file.bytes.length > FILE_BYTES_MAX)
    note('file.limit', 1, `it has ${file.bytes.length} bytes; the limit is ${FILE_BYTES_MAX}`);
  else judgeText(file, hasIgnoreFile, note);
  return [...found.values()];
}

function judgeText(
  { bytes, kind }: BuildFile & { readonly kind: BuildFileKind },
  hasIgnoreFile: boolean,
  note: Note,
): void {
  const source = readSourceText(bytes);
  if ('fault' in source) return note('file.unreadable', 1, source.fault);
  switch (kind) {
    case 'dockerfile':
      return judgeDockerfile(source.text, { hasIgnoreFile, note });
    case 'workflow':
      return judgeWorkflow(source.text, note);
    case 'action':
      return judgeAction(source.text, note);
    case 'gitlab':
      return judgeGitlab(source.text, note);
  }
}

/** An ignore file of nothing but comments ignores nothing. */
function hasPattern(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.subarray(0, FILE_BYTES_MAX)).toString('utf8');
  return text.split('\n').some((line) => /^\s*[^\s#]/.test(line));
}

function worstOf(found: readonly BuildFileFinding[]): BuildFileFinding[] {
  if (found.length <= FINDINGS_MAX) return found.toSorted(compareFindings);
  const worst = found.toSorted(compareByWorst);
  const first = worst[FINDINGS_MAX - 1];
  const limit = findingOf('file.limit', first?.path ?? '', 1, `there are more than ${FINDINGS_MAX} findings`);
  return [...worst.slice(0, FINDINGS_MAX - 1), limit].sort(compareFindings);
}
