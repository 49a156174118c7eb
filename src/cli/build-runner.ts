// Runs the commands of builds: on this host, or in a sandbox of the supervisor's without a network.
import { randomBytes } from 'node:crypto';
import { lstatSync } from 'node:fs';
import { join } from 'node:path';

import type { Command } from 'commander';

import { plainRequest, type RunRequest } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import type { BuildHost, BuildStep } from '../engine/index.ts';
import { CliError } from './cli-error.ts';
import { ask, runCommand } from './command-runner.ts';
import type { CliContext } from './context.ts';
import { gitAnswers } from './git-answers.ts';
import { cpuFlag, quantityOption, sizeFlag } from './run-flags.ts';
import { runToEnd } from './run-to-end.ts';

const VERSION_TIMEOUT_MS = 10_000;
const VERSION_CHARS_MAX = 200;
const PIDS = 4096;

/** What an isolated build may use. */
export interface BuildLimits {
  readonly cpu: number;
  readonly memory: number;
  readonly disk: number;
}

/** Adds the flags of an isolated build, with what it gets unless they say otherwise. */
export function addBuildLimits(command: Command): Command {
  return command
    .addOption(quantityOption('--cpu <cores>', 'most CPU of an isolated build', cpuFlag, '2'))
    .addOption(quantityOption('--memory <size>', 'most memory of an isolated build', sizeFlag, '2Gi'))
    .addOption(
      quantityOption('--disk <size>', 'what an isolated build may write outside of the work tree', sizeFlag, '4Gi'),
    );
}

/** Makes what the engine needs to build here. */
export function buildHost(context: CliContext, limits: BuildLimits): BuildHost {
  return {
    git: gitAnswers,
    run: (step) => (step.isIsolated ? runIsolated(context, step, limits) : runHere(context, step)),
    toolVersion: async (tool, args) => {
      const answer = await ask(tool, args, { cwd: '/', timeoutMs: VERSION_TIMEOUT_MS });
      const [line = ''] = answer?.status === 0 ? answer.stdout.split('\n') : [];
      return line === '' ? null : line.replaceAll(/\p{Cc}/gu, ' ').slice(0, VERSION_CHARS_MAX);
    },
  };
}

function runHere({ out }: CliContext, { argv, tree, env }: BuildStep): Promise<number> {
  out.done();
  return runCommand({ argv, cwd: tree.dir, env, isStdoutTaken: out.json });
}

/** The host's root without what is private on it, the work tree at a place of its own, and no network whatever the host has earned. */
async function runIsolated(context: CliContext, { argv, tree, env }: BuildStep, limits: BuildLimits): Promise<number> {
  const { isolatedBuildPolicy, ISOLATED_TOP } = await import('../engine/index.ts');
  const git = lstatSync(join(tree.top, '.git'), { throwIfNoEntry: false });
  const work = { source: tree.top, target: ISOLATED_TOP, readOnly: false };
  // Whoever may write there has what git runs on the host the next time.
  const ownGit = { source: join(tree.top, '.git'), target: `${ISOLATED_TOP}/.git`, readOnly: true };
  const request: RunRequest = {
    ...plainRequest,
    name: `build-${randomBytes(4).toString('hex')}`,
    artifact: { reference: '/', rootfs: true },
    argv: [...argv],
    env: Object.entries({ HOME: '/tmp', ...env }).map(([name, value]) => `${name}=${value}`),
    mounts: git === undefined ? [work] : [work, ownGit],
    workingDir: join(ISOLATED_TOP, tree.workdir),
    cpuMillicores: limits.cpu,
    memoryBytes: limits.memory,
    diskBytes: limits.disk,
    pids: PIDS,
    stopTimeoutMs: 1000,
    policy: isolatedBuildPolicy(context.home.dir),
  };
  const { code, network } = await runToEnd(context, request);
  if (network === 'isolated') return code;
  throw new CliError('CLI_COMMAND', `the build ran with network ${network}, not isolated; nothing is recorded`, {
    exit: exitStatus.internal,
    hint: 'This is a defect of Provost: please report it.',
  });
}
