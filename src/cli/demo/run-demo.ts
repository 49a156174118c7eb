// The demo from its first look to its last: opens the stage, plays the acts, takes everything down whatever happened, and sums up.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { HomeLayout } from '../../api/index.ts';
import { exitStatus, messageOf } from '../../base/index.ts';
import { CliError } from '../cli-error.ts';
import { earn } from './earning-act.ts';
import { type Interruption, openInterruption } from './interruption.ts';
import { findLeftovers } from './leftovers.ts';
import { findNeeds } from './needs.ts';
import { demoPolicyDifferences } from './policy-differences.ts';
import { recordOrigin } from './origin-act.ts';
import { replay } from './replay-act.ts';
import { freePort, leaveHome, makeHome, openStage, removeHome } from './stage.ts';
import type { Story } from './story.ts';
import { meetStranger } from './stranger-act.ts';
import { turnBad } from './turning-act.ts';

export interface DemoOptions {
  /** Leave home, supervisor and workloads for a look around. */
  readonly keep: boolean;
}

/**
 * Plays the demo. Whatever ends it, nothing of it is left on the host, unless it is to be kept.
 *
 * @returns 0 when every claim held; 128 + the signal's number when it was interrupted
 * @throws CliError CLI_DEMO naming what is missing, or the claims that did not hold; CLI_NOT_ROOT
 */
export async function runDemo(story: Story, { keep }: DemoOptions): Promise<number> {
  const { busybox } = findNeeds();
  using interruption = openInterruption(() => {
    story.keepLive();
    story.out.message('interrupted: cleaning up …');
  });
  const home = makeHome();
  try {
    await play(story, { home, busybox, interruption });
  } catch (error) {
    // Waits that an interruption ended are no failure of the demo.
    if (interruption.status === null) {
      await takeDown(story, home);
      throw error;
    }
  }
  if (keep && interruption.status === null) tellKept(story, home);
  else await takeDown(story, home);
  if (interruption.status !== null) return interruption.status;
  story.summary();
  const failed = story.claims.filter(({ ok }) => !ok);
  story.hint('Next: provost doctor, provost run --rootfs / -- echo hello; or provost demo --keep, to look around.');
  if (failed.length > 0) throw notHeld(failed.map(({ text, number }) => `${text} (${number})`));
  return exitStatus.done;
}

interface Playing {
  readonly home: HomeLayout;
  readonly busybox: string;
  readonly interruption: Interruption;
}

async function play(story: Story, { home, busybox, interruption }: Playing): Promise<void> {
  tellPolicy(story);
  const stage = await openStage({ home, story, busybox, signal: interruption.signal });
  using events = stage.events;
  using _telling = events.onEvent((event) => story.event(event));
  await stage.breathe();
  await recordOrigin(stage);
  const port = await freePort();
  await earn(stage, port);
  await meetStranger(stage, await freePort());
  await turnBad(stage, port);
  await replay(stage);
}

/** What the changed values are, for whoever sees them for the first time. */
const MEANINGS: ReadonlyMap<string, string> = new Map([
  ['trust.caps.provenanceOnly.liftedByCleanRuntime', 'clean work until papers alone cap no more'],
  ['tiers.raiseDwell', 'how long a score must stand before a raise'],
  ['tiers.goodAfter', 'clean work until one may roll back to it'],
  ['runtime.tau', 'how fast clean work earns'],
  ['responses.high-violation.do', 'what follows a grave deed, beside the rest'],
]);

function tellPolicy(story: Story): void {
  story.act('policy', 'Provost: code gets what it has earned');
  story.say(
    'A minute of it, offline, on this machine: real images, real limits. It all happens in a home of its own and is gone afterwards, also after Ctrl-C. The policy is the default one but for these values, so that nobody waits a day:',
  );
  const rows = demoPolicyDifferences().map(({ key, from, to }) => [key, from, '→', to, MEANINGS.get(key) ?? '']);
  story.rows(
    rows.map(([key = '', ...rest]) => [key.slice(key.lastIndexOf('.', key.length - 4) + 1), ...rest]),
    [null, 'dim', 'dim', 'bold', 'dim'],
  );
}

/** Ends what runs, removes the home, and looks whether anything is left. */
async function takeDown(story: Story, home: HomeLayout): Promise<void> {
  story.act('clean-up', 'Cleaning up');
  const idFile = join(home.dir, 'id');
  const left: string[] = [];
  try {
    await leaveHome(home);
    const id = existsSync(idFile) ? readFileSync(idFile, 'utf8').trim() : null;
    removeHome(home);
    if (id !== null) left.push(...findLeftovers({ dir: home.dir, id }));
  } catch (error) {
    // What was played is told to its end all the same; the claim says what went wrong.
    left.push(messageOf(error));
  }
  const found = left.length === 0 ? 'nothing' : left.join('; ');
  story.claim('groups, links, rules, mounts, processes and files that are left', left.length === 0, found);
}

function tellKept(story: Story, home: HomeLayout): void {
  story.act('kept', 'Kept for a look around');
  story.say('All of it still runs, for ten minutes at most:');
  const commands = [
    'provost ps',
    'provost inspect web',
    'provost incident list',
    'provost events --since 0',
    'provost top',
  ];
  story.rows([[`export PROVOST_HOME=${home.dir}`], ...commands.map((command) => [command])]);
  story.say('and to end it:');
  story.rows([[`provost shutdown --stop-workloads && rm -r ${home.dir}`]]);
}

function notHeld(failed: readonly string[]): CliError {
  return new CliError('CLI_DEMO', `of the demo's claims these did not hold: ${failed.join('; ')}`, {
    hint: 'Look around with provost demo --keep; on a machine that is busy with other things, run it again when it is not.',
  });
}
