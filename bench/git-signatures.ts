// Promise: the SSH signature of a commit verified at least 50 times as fast as by git verify-commit, with the same verdicts.
import { execFileSync } from 'node:child_process';
import { openRepository, parseSigners, readCommits, verifyCommit } from '../src/provenance/index.ts';
import { GitFixture } from '../test/git-fixture.ts';
import { findCommand } from '../test/needs.ts';
import { type BenchRow, percentile, runAlone } from './row.ts';

const RATIO_MIN = 50;
const COMMITS = 100;
const ROUNDS = 15;
const WARM_UP_ROUNDS = 5;

const WHAT = 'an SSH commit signature, against git verify-commit';
const TARGET = `≥ ${RATIO_MIN}× faster`;

/**
 * Measures git as it is used, one process a commit (which starts ssh-keygen twice), and ours with all that it does for a commit:
 * reading it from the repository, checking its id, parsing, digests and signature.
 */
export async function run(): Promise<readonly BenchRow[]> {
  const missing = ['git', 'ssh-keygen'].filter((name) => findCommand(name) === null);
  if (missing.length > 0)
    return [{ what: WHAT, value: 'not measured', target: TARGET, ok: null, detail: `no ${missing.join(', ')} here` }];
  using fixture = new GitFixture();
  const key = fixture.makeSshKey('ed25519');
  const allowedSigners = fixture.allow(`ada@example.com ${key.line}`);
  for (let n = 0; n < COMMITS; n += 1) fixture.commit(`commit ${n}`, key);
  const signers = await parseSigners({ allowedSigners, openpgpKeys: [], identities: [] });
  using repository = openRepository(fixture.dir);
  const { ids } = readCommits(repository);

  const byOurs = async (id: string): Promise<number> => {
    const startMs = performance.now();
    const { status } = await verifyCommit(repository.readCommit(id), signers, Date.now());
    if (status !== 'verified') throw new Error(`${id} is ${status}`);
    return performance.now() - startMs;
  };
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) for (const id of ids) await byOurs(id);
  // By turns, so that both meet the same neighbours.
  const byGit: number[] = [];
  const byUs: number[] = [];
  for (const id of ids) {
    const startMs = performance.now();
    if (!fixture.isVerified(id)) throw new Error(`git does not verify ${id}`);
    byGit.push(performance.now() - startMs);
    for (let round = 0; round < ROUNDS; round += 1) byUs.push(await byOurs(id));
  }
  return [rowOf(byGit, byUs)];
}

function rowOf(byGit: readonly number[], byUs: readonly number[]): BenchRow {
  const [git, us] = [percentile(byGit, 0.5), percentile(byUs, 0.5)];
  const ratio = git / us;
  const version = execFileSync('git', ['--version'], { encoding: 'utf8' }).trim();
  return {
    what: WHAT,
    value: `${Math.round(ratio)}× faster`,
    target: TARGET,
    ok: ratio >= RATIO_MIN,
    detail: `${COMMITS} commits by Ed25519; median ${(us * 1000).toFixed(0)} µs in this process, with reading, parsing and digests, against ${git.toFixed(1)} ms by ${version}, one process a commit`,
  };
}

await runAlone(import.meta, run);
