// A project with a whole life: a real repository of examples/shop, a home with the keys of its people, and what the policy promises for each step.
import { cpSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { ScoreDocument } from '../src/api/index.ts';
import type { RunPlan } from '../src/engine/index.ts';
import { parsePolicy } from '../src/policy/index.ts';
import { GitFixture, type SshKeyFile } from './git-fixture.ts';
import { openTestHome, type TestHome } from './home-fixture.ts';
import { readDefaultPolicy } from './loop-fixture.ts';
import { PROJECT_FOLDER } from './source/source-file.ts';

/** Who is trusted, and for what; `lead` neither writes nor builds. */
const PEOPLE = { alice: 'publisher', ci: 'builder', lead: 'reviewer', bob: 'builder' } as const;

const policy = parsePolicy(readDefaultPolicy(), 'policies/default.yaml');

/** Of each cap that a step may have: the highest score that it leaves. */
const CAP_MAX: ReadonlyMap<string, number> = new Map([
  ['unsigned', policy.trust.caps.unsigned.max],
  ['provenance-only', policy.trust.caps.provenanceOnly.max],
  ['revoked-key', policy.trust.caps.revoked.max],
]);

/** What the image has earned, by `score` and by what `run` would do. */
export interface Standing {
  readonly score: ScoreDocument;
  readonly plan: RunPlan;
  /** Check → its score. */
  readonly checks: ReadonlyMap<string, number>;
  /** Before caps. */
  readonly sum: number;
}

export interface Life extends AsyncDisposable {
  readonly home: TestHome;
  readonly git: GitFixture;
  readonly ada: SshKeyFile;
  /** The list of publishers, with Ada’s key. */
  readonly publishers: string;
  /** `oci:…/dist/image`. */
  readonly image: string;
  /** Runs `provost ARGS` and answers what it printed with `--json`. */
  json<T>(...args: string[]): Promise<T>;
  /** Builds by a command of the repository, and records it. */
  recordBuild(...more: string[]): Promise<void>;
  recordCommit(): Promise<void>;
  standing(): Promise<Standing>;
}

/** Opens a home that trusts its people, and a repository that Ada committed to: signed, but where that is what is missing. */
export async function openLife({ isSigned = true }: { readonly isSigned?: boolean } = {}): Promise<Life> {
  const home = openTestHome();
  const git = new GitFixture();
  const ada = git.makeSshKey('ed25519', 'ada');
  const publishers = join(git.root, 'publishers.json');
  writeFileSync(publishers, JSON.stringify([{ publisher: 'ada', sshKeys: [ada.line], emails: ['ada@example.com'] }]));
  const own = join(PROJECT_FOLDER, 'examples/shop/dist');
  cpSync(join(PROJECT_FOLDER, 'examples/shop'), git.dir, { recursive: true, filter: (path) => path !== own });
  git.commit('the shop', isSigned ? ada : null);
  for (const [name, role] of Object.entries(PEOPLE)) {
    await home.ok('key', 'generate', name);
    await home.ok('key', 'trust', name, '--role', role);
  }
  const image = `oci:${join(git.dir, 'dist/image')}`;
  const json = async <T>(...args: string[]): Promise<T> => JSON.parse(await home.ok(...args, '--json')) as T;
  return {
    home,
    git,
    ada,
    publishers,
    image,
    json,
    recordBuild: async (...more) => {
      const products = ['--product', 'oci:dist/image', ...more];
      await home.ok('record', 'build', '--key', 'ci', '--workdir', git.dir, ...products, '--', 'sh', 'build.sh');
    },
    recordCommit: async () => {
      await home.ok('record', 'commit', '--key', 'alice', '--repository', git.dir, '--identities', publishers);
    },
    standing: async () => {
      const planned = json<RunPlan>('run', '--dry-run', image);
      return standingOf(await json<ScoreDocument>('score', image), await planned);
    },
    async [Symbol.asyncDispose]() {
      git[Symbol.dispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

/** Builds without a word to anybody. */
export function buildUnrecorded({ git }: Pick<Life, 'git'>): void {
  const env = { SOURCE_DATE_EPOCH: git.git('log', '-1', '--format=%ct') };
  git.run('sh', ['build.sh'], { env });
  if (!existsSync(join(git.dir, 'dist/image/index.json'))) throw new Error('the build made no image');
}

function standingOf(score: ScoreDocument, plan: RunPlan): Standing {
  const components = Object.values(score.components);
  const checks = new Map(components.flatMap(({ evidence }) => evidence.map((one) => [one.check, one.score] as const)));
  return { score, plan, checks, sum: components.reduce((sum, { contribution }) => sum + contribution, 0) };
}

/** What a step is to have done. */
export interface Step {
  /** The checks that moved, and where to. */
  readonly moves: Readonly<Record<string, number>>;
  readonly caps: readonly string[];
}

/** Asserts that exactly these checks moved, that the score moved by what the policy promises for them, and that the grant follows. */
export function expectStep(before: Standing, after: Standing, { moves, caps }: Step): void {
  const moved = [...after.checks].filter(([check, score]) => score !== before.checks.get(check));
  expect(Object.fromEntries(moved)).toEqual(moves);
  const gains = Object.entries(moves).map(
    ([check, score]) => weightOf(check) * (score - (before.checks.get(check) ?? 0)),
  );
  const gain = gains.reduce((sum, one) => sum + one, 0);
  expect(after.sum - before.sum).toBeCloseTo(gain, 12);
  expectStanding(after, caps);
}

/** Asserts that score, tier and grant are those that the policy promises for these checks and caps, whoever is asked. */
export function expectStanding({ checks, score, plan }: Standing, caps: readonly string[]): void {
  expect(score.caps.map(({ id }) => id)).toEqual(caps);
  const sum = [...checks].reduce((most, [check, one]) => most + weightOf(check) * one, 0);
  const promised = Math.min(sum, ...caps.map((id) => CAP_MAX.get(id) ?? Number.NaN));
  expect(score.score).toBeCloseTo(promised, 12);
  const tier = promised > policy.tiers.highAbove ? 'high' : promised >= policy.tiers.mediumFrom ? 'medium' : 'low';
  const { cpuShare, cpuMillicoresMax, memoryShare, memoryBytesMax, network, logging } = policy.grants[tier];
  const asked = { cpuMillicores: 1000, memoryBytes: 512 * 1024 ** 2 };
  expect({ tier: score.tier, grant: score.grant }).toMatchObject({
    tier,
    grant: {
      cpu: { millicores: Math.min(asked.cpuMillicores * cpuShare, cpuMillicoresMax ?? Infinity) },
      memory: { bytes: Math.min(asked.memoryBytes * memoryShare, memoryBytesMax ?? Infinity) },
      network,
      logging,
      isolation: tier === 'low' ? 'gvisor' : 'container',
    },
  });
  expect([plan.score.score, plan.tier, plan.grant]).toEqual([score.score, score.tier, score.grant]);
}

/** What a check adds to the score at its full value: the component's weight × the check's. */
function weightOf(check: string): number {
  const component = check.split('.')[0] as keyof typeof policy.trust.components;
  const found = policy.trust.checks.find((one) => one.check === check);
  if (found === undefined) throw new Error(`the policy has no check '${check}'`);
  return policy.trust.components[component] * found.weight;
}
