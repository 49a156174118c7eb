// What the demo says of the revision that turned bad: the timeline as the kernel told it, and the claims with their numbers.
import type { IncidentDocument, ScoreDocument, WorkloadDocument } from '../../api/index.ts';
import { showNumbers } from './kernel-numbers.ts';
import type { Change, KernelWatch } from './kernel-watch.ts';
import type { Stage } from './stage.ts';
import type { Story } from './story.ts';
import { visitStrip } from './visit-strip.ts';
import { visit, type Visitor } from './visitor.ts';

/** A quota counts whole periods of 100 ms: what is left of the last one comes on top. */
const CPU_SLACK = 1.25;
/** The policy's reputation of a publisher that the operator trusts, before anything is known of it. */
const TRUSTED_START = 0.5;

const DEEDS: ReadonlyMap<string, RegExp> = new Map([
  ['secrets', /credential-access/],
  ['port scan', /port-scan/],
  ['forks', /fork-bomb/],
]);

/** What happened, all times by `performance.now()`. */
export interface Turn {
  /** Revision 1 before it was replaced. */
  readonly first: WorkloadDocument;
  /** Revision 2 before it turned. */
  readonly second: WorkloadDocument;
  /** Whether this host can run code of low trust at all. */
  readonly canBeLow: boolean;
  readonly watch: KernelWatch;
  readonly visitor: Visitor;
  readonly incident: IncidentDocument | null;
  /** CPU that it had used when it turned. */
  readonly usedMs: number;
  readonly turnedMs: number;
  /** When revision 1 ran again. */
  readonly backMs: number;
}

/** Shows what the demo itself saw. */
export function tellTimeline(story: Story, { watch, turnedMs, backMs, visitor }: Turn): void {
  const at = (ms: number): string => `${(ms - turnedMs).toFixed(0).padStart(5)} ms`;
  const served = visitor.visits.find(({ fromMs, revision }) => fromMs > backMs && revision === 1);
  story.say(
    'What the demo itself saw in the kernel, looking every millisecond (code of medium trust is judged once a second):',
  );
  story.rows(
    [
      [at(turnedMs), 'the page is asked for, and revision 2 turns bad', ''],
      ...watch.changes.filter(({ atMs }) => atMs >= turnedMs).map(({ atMs, text, source }) => [at(atMs), text, source]),
      [at(backMs), 'revision 1 runs again', ''],
      ...(served === undefined ? [] : [[at(served.toMs), 'and serves', 'HTTP 200']]),
    ],
    ['bold', null, 'dim'],
  );
  story.say(
    'What visitors got, ten a second: the revision that answered, or · for no answer; ! is the moment it turned.',
  );
  story.rows([[visitStrip(story.out, visitor.visits, turnedMs)]]);
}

/** Claims that it was held while it raged, caught, clamped, cut off and stopped. */
export function claimCaught(story: Story, turn: Turn): void {
  const { watch, turnedMs, incident, second, usedMs } = turn;
  const { pids, use } = watch.peak;
  const limit = second.grant.pids;
  story.claim('while it raged, its forks ended at the limit', pids <= limit, `${pids} of ${limit} processes`);
  const lastMs = watch.changes.find(({ kind }) => kind === 'cpu' || kind === 'gone')?.atMs ?? performance.now();
  const cores = ((use?.cpuMs ?? 0) - usedMs) / Math.max(1, lastMs - turnedMs);
  const granted = second.grant.cpu.millicores / 1000;
  const coresText = `${cores.toFixed(2)} of ${granted.toFixed(2)} cores`;
  story.claim('and it burnt no more CPU than it was granted', cores <= granted * CPU_SLACK, coresText);
  const evidence = incident?.evidence.join('\n') ?? '';
  const seen = [...DEEDS].filter(([, pattern]) => pattern.test(evidence)).map(([deed]) => deed);
  const isCaught = incident?.severity === 'high' && seen.length > 0;
  story.claim('it was caught in the act', isCaught, seen.join(', ') || 'not caught');
  // Where low is refused, code that falls there is ended instead.
  if (turn.canBeLow) claimChange(story, turn, 'its CPU was clamped to 0.1 cores', 'cpu');
  claimChange(story, turn, 'it was cut off from the network', 'network');
  claimChange(story, turn, 'it was frozen', 'frozen');
  claimChange(story, turn, 'it was killed', 'gone');
}

function claimChange(story: Story, { watch, turnedMs, incident }: Turn, text: string, kind: Change['kind']): void {
  const change = watch.changes.find((one) => one.kind === kind && one.atMs >= turnedMs);
  if (change !== undefined) return story.claim(text, true, `after ${(change.atMs - turnedMs).toFixed(0)} ms`);
  // It stays frozen for some milliseconds, which a process that has to wait for its turn can miss; the incident has it too.
  const action = incident?.actions.find((one) => one.kind === 'freeze' && kind === 'frozen');
  story.claim(
    text,
    action?.after['frozen'] === true,
    action === undefined ? 'not seen' : `in ${action.tookMs.toFixed(0)} ms`,
  );
}

/** Claims that revision 1 serves again, and what became of revision 2 and of its publisher. */
export async function claimRolledBack(stage: Stage, turn: Turn, port: number): Promise<void> {
  const { story } = stage;
  const { first } = turn;
  const now = await stage.inspect('web');
  const answer = await visit(port, '/');
  const isHeld = showNumbers(story, now, {
    found: answer === null ? 'no answer' : `HTTP ${answer.status}`,
    source: `GET http://127.0.0.1:${port}/`,
  });
  const isBack = now.revision === 1 && answer?.text.startsWith('revision 1') === true && isHeld;
  story.claim('revision 1 is back', isBack, `after ${awayMs(turn).toFixed(0)} ms without an answer`);
  if (now.score < first.score) {
    const scores = `${first.score.toFixed(2)} → ${now.score.toFixed(2)}`;
    story.say(
      `Revision 1 is what it was. Its score is not (${scores}): what its publisher's name is worth is part of it.`,
    );
  }
  const reference = encodeURIComponent(stage.reference('web-2'));
  const path = `/v1/artifacts/score?reference=${reference}`;
  const bad = await stage.client.call<ScoreDocument>({ method: 'GET', path });
  story.claim('revision 2 is low from now on, signed or not', bad.tier === 'low', `score ${bad.score.toFixed(2)}`);
  const reputation = bad.components.reputation.score;
  const fall = `reputation ${TRUSTED_START.toFixed(2)} → ${reputation.toFixed(2)}`;
  story.claim('Alice answers for what she signed, in all of it', reputation < TRUSTED_START, fall);
}

/** From the last answer of revision 2 to the first one of revision 1. */
function awayMs({ visitor, turnedMs }: Turn): number {
  const after = visitor.visits.filter(({ fromMs }) => fromMs >= turnedMs);
  const last = Math.max(turnedMs, ...after.filter(({ revision }) => revision === 2).map(({ toMs }) => toMs));
  const first = Math.min(...after.filter(({ revision }) => revision === 1).map(({ toMs }) => toMs));
  return first - last;
}
