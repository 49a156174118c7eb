// Judges the files that say how software is built: Dockerfiles and the workflows of CI systems. Pure.
import { MIB } from '../../base/index.ts';
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

/** What all of them may hold together, so that judging takes seconds whatever they hold. */
const BYTES_MAX = 2 * MIB;

/** More than anybody reads, and enough to make the score the lowest. */
const FINDINGS_MAX = 1000;

/**
 * Judges every Dockerfile (`Dockerfile`, `Containerfile`, `*.Dockerfile`, `Dockerfile.*`), GitHub workflow, `action.yml` and
 * `.gitlab-ci.yml` among the files. Never throws for their content: what cannot be read, or goes beyond a limit (256 KiB a
 * file, 2 MiB together, 256 build files, 1000 findings), is itself a critical finding. The order of the files does not matter.
 */
export function judgeBuildFiles(files: readonly BuildFile[]): BuildFileJudgement {
  const known = files.flatMap((file) => {
    const kind = buildFileKindOf(file.path);
    return kind === null ? [] : [{ ...file, kind }];
  });
  known.sort((a, b) => compareText(a.path, b.path) || Buffer.compare(a.bytes, b.bytes));
  const hasIgnoreFile = files.some(({ path, bytes }) => isIgnoreFile(path) && hasPattern(bytes));
  const judged = known.slice(0, countWithin(known));
  const found = judged.flatMap((file) => judgeFile(file, hasIgnoreFile));
  const next = known[judged.length];
  if (next !== undefined)
    found.push(
      findingOf('file.limit', next.path, 1, `it and ${known.length - judged.length - 1} more were not judged`),
    );
  return { findings: worstOf(found), paths: judged.map(({ path }) => path) };
}

/** How many of the files lie within the limits of their number and their bytes together. */
function countWithin(files: readonly BuildFile[]): number {
  let bytes = 0;
  const beyond = files.findIndex((file, at) => {
    // A file that is too large is not read.
    bytes += file.bytes.length > FILE_BYTES_MAX ? 0 : file.bytes.length;
    return at >= FILES_MAX || bytes > BYTES_MAX;
  });
  return beyond === -1 ? files.length : beyond;
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
