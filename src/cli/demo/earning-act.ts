// Act 1: a signed web server starts at medium and earns the rest by clean windows.
import type { EventOf } from '../../api/index.ts';
import type { Output } from '../output.ts';
import { formatRate } from '../words.ts';
import { type NetworkFound, showNumbers } from './kernel-numbers.ts';
import type { Stage } from './stage.ts';
import { measureRate, Visitor } from './visitor.ts';
import { LARGE_PAGE, LARGE_PAGE_BYTES } from './web-image.ts';

/** The policy's times add up to some 20 s; a host that is busy with other things takes longer. */
const EARN_WITHIN_MS = 60_000;
const DOWNLOAD_WITHIN_MS = 10_000;
/** The bucket of a rate limit gives a first burst beside its rate. */
const BURST_FACTOR = 1.25;
/** Without a limit loopback carries a gigabit; so many times the limit is more than any burst, and less than a busy host does. */
const UNLIMITED_FACTOR = 2;

export async function earn(stage: Stage, port: number): Promise<void> {
  const { story } = stage;
  story.act('earn', '2 · The web server earns what it asked for');
  story.say(
    'Papers alone are worth medium at most: half of what was asked for, and a slow network. The rest is earned by what it does.',
  );
  await stage.breathe();
  await stage.run('web', 'web-1', { port });
  const before = await stage.inspect('web');
  const slow = await measureRate(port, LARGE_PAGE, LARGE_PAGE_BYTES, DOWNLOAD_WITHIN_MS);
  const isHeld = showNumbers(story, before, rateFound(slow));
  const limit = before.grant.rateBitsPerSecond ?? 0;
  const starts = before.grantedTier === 'medium' && isHeld;
  story.claim(
    'starts at medium: the kernel holds half of what it asked for',
    starts,
    `score ${before.score.toFixed(2)}`,
  );
  const isSlow = slow !== null && slow <= limit * BURST_FACTOR;
  story.claim(`a download gets no more than ${formatRate(limit)}`, isSlow, rateText(slow));
  await stage.breathe();
  story.say('Now visitors come, ten a second. Clean work raises the score; high begins at the │:');
  using visitor = new Visitor(port);
  const raise = await watchEarning(stage);
  const after = await stage.inspect('web');
  const fast = await measureRate(port, LARGE_PAGE, LARGE_PAGE_BYTES, DOWNLOAD_WITHIN_MS);
  const isRaised = showNumbers(story, after, rateFound(fast));
  story.claim(
    'is granted all of it while it runs',
    isRaised && after.pid === before.pid,
    `same process ${after.pid ?? '-'}`,
  );
  story.claim('the kernel confirmed the raise', raise.applyMs < RAISE_WITHIN_MS, `${raise.applyMs.toFixed(1)} ms`);
  story.claim('the network is open', fast !== null && fast >= limit * UNLIMITED_FACTOR, rateText(fast));
  await visitor.finish();
  const answered = visitor.visits.filter(({ revision }) => revision === 1).length;
  const all = visitor.visits.length;
  story.claim('no visitor noticed', all > 0 && answered === all, `${answered} of ${all} answered`);
}

/** A raise is some writes to the kernel; more than this and something is wrong. */
const RAISE_WITHIN_MS = 1000;

function rateText(bitsPerSecond: number | null): string {
  return bitsPerSecond === null ? 'no answer' : formatRate(bitsPerSecond);
}

function rateFound(bitsPerSecond: number | null): NetworkFound {
  return { found: rateText(bitsPerSecond), source: 'measured: 2 MiB over HTTP' };
}

/** Shows the score as it grows, until the raise to high. */
async function watchEarning({ story, events }: Stage): Promise<EventOf<'grant'>> {
  const scores = events.of('web', 'window').map(({ score }) => score);
  using _windows = events.onEvent((event) => {
    if (event.event !== 'window' || event.workload !== 'web') return;
    scores.push(event.score);
    story.live(scoreLine(story.out, scores, noteOf(event.score)));
  });
  const raise = await events.until('web', 'grant', {
    fits: ({ toTier }) => toTier === 'high',
    withinMs: EARN_WITHIN_MS,
  });
  // The window that led to the raise is told after it.
  await events.until('web', 'window', { fits: ({ time }) => time >= raise.time, withinMs: EARN_WITHIN_MS });
  story.live(scoreLine(story.out, scores, 'high'));
  story.keepLive();
  return raise;
}

const BARS = '▁▂▃▄▅▆▇█';
/** Lowest and highest score of the picture: between them lies all that this act shows. */
const PICTURE = { from: 0.65, to: 0.9 } as const;
const HIGH_ABOVE = 0.8;
/** A line of the terminal holds these many seconds. */
const WINDOWS_SHOWN = 60;

function scoreLine(out: Output, scores: readonly number[], note: string): string {
  const shown = scores.slice(-WINDOWS_SHOWN);
  const isHigh = (score: number): boolean => score > HIGH_ABOVE;
  const bars = (which: readonly number[]): string => which.map(barOf).join('');
  const medium = out.paint('yellow', bars(shown.filter((score) => !isHigh(score))));
  const high = shown.some(isHigh) ? `│${out.paint('green', bars(shown.filter(isHigh)))}` : '';
  const [first = 0, last = 0] = [scores[0], scores.at(-1)];
  return `score ${first.toFixed(2)} ${medium}${high} ${last.toFixed(2)}  ${out.paint('dim', note)}`;
}

function barOf(score: number): string {
  const share = (score - PICTURE.from) / (PICTURE.to - PICTURE.from);
  const step = Math.max(0, Math.min(BARS.length - 1, Math.floor(share * BARS.length)));
  return BARS[step] ?? '';
}

function noteOf(score: number): string {
  if (score < HIGH_ABOVE) return 'medium';
  return score > HIGH_ABOVE ? 'must stand for a while' : 'medium: papers alone go no further';
}
