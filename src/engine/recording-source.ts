// Commits as statements: who made them, provably, and how what they hold is built.
import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { z } from 'zod';

import { type BuildFileJudgement, isBuildFile, judgeBuildFiles, sarifOf, scoreBuildFiles } from '../analysis/index.ts';
import { exitStatus, KIB, messageOf, systemClock } from '../base/index.ts';
import {
  describeSource,
  type GitCommit,
  type GitRepository,
  type KnownIdentity,
  type KnownSigners,
  openRepository,
  parseSigners,
  readCommits,
  readTreeFiles,
  SOURCE_PREDICATE_TYPE,
  type SourcePredicate,
} from '../provenance/index.ts';
import { EngineError } from './errors.ts';
import type { StatementRequest } from './engine.ts';

/** Build files of one commit that are read; more are a finding. */
const BUILD_FILES_MAX = 300;
/** A build file beyond this is a finding, whatever is in it. */
const BUILD_FILE_BYTES_MAX = 256 * KIB;
/** Findings that a predicate carries; SARIF has them all. */
const FINDINGS_MAX = 100;

/** Which commits, and whom to believe about them. */
export interface SourceOptions {
  /** A repository, or a folder of its working copy. */
  readonly dir: string;
  /** `HEAD`, a branch, `v1.0..HEAD`; a range stands for all of its commits, a revision for itself. */
  readonly range: string;
  /** All from the first commit on. */
  readonly isWhole: boolean;
  /** Paths: git's list of allowed signers, armored OpenPGP keys, and a JSON list of publishers. */
  readonly allowedSigners: string | null;
  readonly openpgpKeys: readonly string[];
  readonly identities: string | null;
}

/** One commit. */
export interface SourceRecord {
  readonly statement: StatementRequest;
  readonly source: SourcePredicate;
}

/** What was read of a repository. */
export interface SourceHistory extends Disposable {
  readonly count: number;
  /** Where a shallow clone ends; a whole history has none. */
  readonly cutAt: readonly string[];
  /** How the newest commit is built, with a score from 0 to 1. */
  readonly build: BuildFileJudgement & { readonly score: number; readonly reason: string };
  /** Parents before children. */
  records(): AsyncGenerator<SourceRecord>;
}

/**
 * Opens a history for recording; nothing but git's own files is read, and git is not started.
 *
 * @throws ProvenanceError PROVENANCE_REPOSITORY, PROVENANCE_COMMIT, PROVENANCE_SIGNERS, PROVENANCE_OPENPGP; EngineError ENGINE_SOURCE
 */
export async function openSource(options: SourceOptions): Promise<SourceHistory> {
  const signers = await signersOf(options);
  const repository = openRepository(resolve(options.dir));
  try {
    const history = readCommits(repository, rangeOf(repository, options));
    const newest = repository.readCommit(history.ids.at(-1) ?? repository.resolve('HEAD'));
    const build = judgeBuild(repository, newest);
    const name = basename(resolve(options.dir));
    return {
      count: history.ids.length,
      cutAt: history.cutAt,
      build,
      async *records() {
        for (const commit of history.commits())
          yield await recordOf(commit, { name, signers, build: commit.id === newest.id ? build : null });
      },
      [Symbol.dispose]: () => repository[Symbol.dispose](),
    };
  } catch (error) {
    repository[Symbol.dispose]();
    throw error;
  }
}

/** The findings as a SARIF log. */
export function sarifOfSource({ build }: Pick<SourceHistory, 'build'>, toolVersion: string): unknown {
  return sarifOf(build.findings, { toolVersion });
}

function rangeOf(
  repository: GitRepository,
  { range, isWhole }: SourceOptions,
): { readonly to: string; readonly from: string | null; readonly countMax?: number } {
  const [from = '', to = ''] = range.includes('..') ? range.split('..', 2) : ['', range];
  if (range.includes('..')) return { to: to === '' ? 'HEAD' : to, from: from === '' ? 'HEAD' : from };
  if (isWhole) return { to, from: null };
  // One commit: what it stands on is left out.
  const [parent] = repository.readCommit(repository.resolve(to)).parents;
  const isRoot = parent === undefined || repository.shallow.has(repository.resolve(to));
  return { to, from: isRoot ? null : `${to}^1` };
}

function judgeBuild(repository: GitRepository, { tree, digest }: GitCommit): SourceHistory['build'] {
  const judgement = judgeBuildFiles(
    readTreeFiles(repository, tree, {
      isWanted: isBuildFile,
      filesMax: BUILD_FILES_MAX,
      fileBytesMax: BUILD_FILE_BYTES_MAX,
    }),
  );
  const [evidence] = scoreBuildFiles(judgement, digest);
  return { ...judgement, score: evidence?.score ?? 0, reason: evidence?.reason ?? '' };
}

interface Recording {
  readonly name: string;
  readonly signers: KnownSigners;
  readonly build: SourceHistory['build'] | null;
}

async function recordOf(commit: GitCommit, { name, signers, build }: Recording): Promise<SourceRecord> {
  const source = await describeSource(commit, { signers, nowMs: systemClock.nowMs() });
  const judged =
    build === null
      ? {}
      : { build: { paths: build.paths, score: build.score, findings: build.findings.slice(0, FINDINGS_MAX) } };
  return {
    source,
    statement: {
      name: `${name}@${commit.id}`,
      digest: commit.digest,
      predicateType: SOURCE_PREDICATE_TYPE,
      predicate: { ...source, ...judged },
    },
  };
}

const identitiesSchema = z.array(
  z.strictObject({
    publisher: z.string().min(1).max(256),
    sshKeys: z.array(z.string()).default([]),
    openpgpKeys: z.array(z.string()).default([]),
    emails: z.array(z.string()).min(1),
  }),
);

function signersOf({ allowedSigners, openpgpKeys, identities }: SourceOptions): Promise<KnownSigners> {
  return parseSigners({
    allowedSigners: allowedSigners === null ? null : readText(allowedSigners, 'list of allowed signers'),
    openpgpKeys: openpgpKeys.map((path) => readText(path, 'OpenPGP key')),
    identities: identities === null ? [] : parseIdentities(identities),
  });
}

function parseIdentities(path: string): readonly KnownIdentity[] {
  const text = readText(path, 'list of publishers');
  try {
    return identitiesSchema.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    throw badFile(`the list of publishers ${path} is not valid: ${why.slice(0, 500)}`, error);
  }
}

function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw badFile(`the ${what} ${path} cannot be read: ${messageOf(error)}`, error);
  }
}

function badFile(message: string, cause: unknown): EngineError {
  return new EngineError('ENGINE_SOURCE', message, {
    exit: exitStatus.usage,
    hint: 'A list of publishers is JSON: [{ "publisher": "alice", "sshKeys": ["ssh-ed25519 …"], "emails": ["alice@example.com"] }]',
    cause,
  });
}
