// Act 1: where the code comes from. The command line itself records each step of its life, and each is worth something.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import type { ScoreDocument } from '../../api/index.ts';
import { makeRepository, type Repository } from './repository.ts';
import { BUILDER, KEY, type Stage } from './stage.ts';

const run = promisify(execFile);

/** A command of the demo's user, and what it says of the code. */
interface Step {
  /** What the command line is given; null for the build itself, which is none of its commands. */
  readonly args: readonly string[] | null;
  /** As a person would type it. */
  readonly shown: string;
  readonly says: string;
}

const SHOWN_WIDTH = 51;
const SAYS_WIDTH = 32;
const SCORE_DIGITS = 3;

export async function recordOrigin(stage: Stage): Promise<void> {
  const { story, signal } = stage;
  story.act('origin', '1 · The code brings its papers');
  story.say(
    'A repository with one commit, which Ada signed. Each step from there to the image is recorded as a signed statement in a tamper-evident log, and each that holds raises the score:',
  );
  const repository = await makeRepository(stage.originDir, signal);
  const scores: number[] = [];
  for (const step of steps(stage, repository)) scores.push(await play(stage, repository, step));
  const isRising = scores.every((score, at) => at === 0 || score > (scores[at - 1] ?? 1));
  const [first = 0, last = 0] = [scores[0], scores.at(-1)];
  story.claim(
    'each link raised the score',
    isRising,
    `${first.toFixed(SCORE_DIGITS)} to ${last.toFixed(SCORE_DIGITS)}`,
  );
  const { verdict, links } = await verify(stage);
  story.claim('the chain holds from the image back to the signed commit', verdict === 'verified', `${links} links`);
  await stage.breathe();
}

function steps(stage: Stage, { allowedSigners, identities }: Repository): Step[] {
  const image = stage.reference('web-1');
  const ofCommit = ['--repository', 'shop', '--allowed-signers', allowedSigners, '--identities', identities];
  return [
    { args: null, shown: 'sh build.sh', says: 'nobody vouches for it' },
    {
      args: ['attest', image, '--key', KEY],
      shown: `provost attest oci:web --key ${KEY}`,
      says: 'a known publisher releases it',
    },
    {
      args: ['record', 'build', '--key', BUILDER, '--workdir', 'shop', '--product', image, '--', 'sh', 'build.sh'],
      shown: `provost record build --key ${BUILDER} -- sh build.sh`,
      says: 'a known builder built it',
    },
    {
      args: ['record', 'commit', '--key', KEY, ...ofCommit],
      shown: `provost record commit --key ${KEY}`,
      says: 'from a commit that Ada signed',
    },
    {
      args: ['record', 'test', image, '--key', BUILDER, '--', 'sh', '-c', 'cd shop && sh test.sh'],
      shown: `provost record test oci:web --key ${BUILDER} -- sh test.sh`,
      says: 'its tests pass',
    },
    {
      args: ['record', 'deps', image, '--key', BUILDER],
      shown: `provost record deps oci:web --key ${BUILDER}`,
      says: 'it is made of one Debian package',
    },
  ];
}

/** Runs the command as its user would, and shows what the score is then. */
async function play(stage: Stage, repository: Repository, { args, shown, says }: Step): Promise<number> {
  if (args === null) await buildAlone(stage, repository);
  else await provost(stage, args);
  const score = await scoreOf(stage);
  const cells = [shown.padEnd(SHOWN_WIDTH), says.padEnd(SAYS_WIDTH), score.toFixed(SCORE_DIGITS)];
  stage.story.rows([cells], [null, 'dim', 'bold']);
  return score;
}

/** At the time of the commit, as the recorded build: the same bytes come out. */
async function buildAlone({ signal }: Stage, { dir, commitSeconds }: Repository): Promise<void> {
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(commitSeconds) };
  await run('sh', ['build.sh'], { cwd: dir, env, signal });
}

async function scoreOf(stage: Stage): Promise<number> {
  const path = `/v1/artifacts/score?reference=${encodeURIComponent(stage.reference('web-1'))}`;
  return (await stage.client.call<ScoreDocument>({ method: 'GET', path })).score;
}

interface VerifyOutput {
  readonly verdict: string;
  readonly chain: { readonly links: readonly { readonly status: string }[] };
}

async function verify(stage: Stage): Promise<{ readonly verdict: string; readonly links: number }> {
  const { verdict, chain } = JSON.parse(
    await provost(stage, ['verify', stage.reference('web-1'), '--json']),
  ) as VerifyOutput;
  return { verdict, links: chain.links.filter(({ status }) => status === 'verified').length };
}

/** The command line in a process of its own; a failure of it is one of the demo. */
async function provost({ home, originDir, signal }: Stage, args: readonly string[]): Promise<string> {
  const [program, main = ''] = process.argv;
  const env = { ...process.env, PROVOST_HOME: home.dir };
  const command = [...process.execArgv, main, ...args];
  return (await run(program ?? process.execPath, command, { cwd: originDir, env, signal })).stdout;
}
