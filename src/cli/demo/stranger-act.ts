// Act 2: the same program without a signature is held low, or refused where the host has no sandbox that is strong enough.
import { messageOf } from '../../base/index.ts';
import { RemoteError } from '../client.ts';
import { openKernelGroup } from './kernel-group.ts';
import { showNumbers } from './kernel-numbers.ts';
import type { Stage } from './stage.ts';
import { visit } from './visitor.ts';

/** What the specification gives code of low trust at most. */
const LOW = { cpuMillicores: 100, memoryBytes: 256 * 1024 ** 2 } as const;
const ENDED_WITHIN_MS = 10_000;
const REFUSED = 'ENGINE_REFUSED';

export async function meetStranger(stage: Stage, port: number): Promise<void> {
  const { story } = stage;
  story.act('stranger', '3 · The same program, unsigned, is held low');
  story.say('The same files in an image that nobody signed. It asks for the same; it has earned nothing.');
  await stage.breathe();
  if (!(await isAdmitted(stage, port))) return;
  const stranger = await stage.inspect('stranger');
  const answer = await visit(port, '/');
  const found = answer === null ? 'no answer' : `HTTP ${answer.status}`;
  const isHeld = showNumbers(story, stranger, { found, source: `GET http://127.0.0.1:${port}/` });
  const group = openKernelGroup(stranger.cgroup ?? '');
  const limits = group.limits();
  const isLow = limits !== null && limits.cpuMillicores <= LOW.cpuMillicores && limits.memoryBytes <= LOW.memoryBytes;
  story.claim(
    'the kernel holds no more than 0.1 CPU and 256 MiB',
    isHeld && isLow,
    `score ${stranger.score.toFixed(2)}`,
  );
  story.claim('it has no network: a visitor gets no answer', answer === null, found);
  const processes = group.use()?.pids ?? 0;
  const isSandboxed = stranger.driver === 'gvisor' && processes > 0;
  story.claim('it runs, in a sandbox that has a kernel of its own', isSandboxed, stranger.driver ?? 'not running');
  await stage.breathe();
  await stage.client.call({ method: 'DELETE', path: '/v1/workloads/stranger?force=true' });
  await stage.events.until('stranger', 'exited', { withinMs: ENDED_WITHIN_MS });
}

/** False when this host can only refuse it, which then is what is claimed. */
async function isAdmitted(
  { run, story, events }: Pick<Stage, 'run' | 'story' | 'events'>,
  port: number,
): Promise<boolean> {
  try {
    await run('stranger', 'stranger', { port });
    return true;
  } catch (error) {
    if (!(error instanceof RemoteError) || error.code !== REFUSED) throw error;
    await events.until('stranger', 'refused', { withinMs: ENDED_WITHIN_MS });
    story.say(`This host has no gVisor that works, and what it cannot enforce it refuses: ${messageOf(error)}.`);
    story.claim('without a strong sandbox it does not run at all', true, 'refused');
    return false;
  }
}
