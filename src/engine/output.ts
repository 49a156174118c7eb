// What a workload wrote: its log, as conmon keeps it, and the audit log.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { exitStatus } from '../base/index.ts';
import { type LogLine, readCriLog } from '../sandbox/index.ts';
import { auditPath } from './audit-log.ts';
import type { EngineContext } from './context.ts';
import type { OutputOptions } from './engine.ts';
import { EngineError } from './errors.ts';
import type { Running } from './running.ts';

/** Where conmon writes the output of a workload's instances. */
export function outputPath(context: Pick<EngineContext, 'home'>, name: string): string {
  return join(context.home.workloadDir(name), 'output.log');
}

/** See `Engine.output`. */
export async function* readOutput(context: EngineContext, running: Running, options: OutputOptions): AsyncGenerator {
  if (options.audit) {
    yield* tailOf(auditLines(auditPath(context, running.name)), options.tail);
    return;
  }
  const fromMs = options.onlyCurrent ? (running.instance?.startedMs ?? 0) : 0;
  const lines = linesSince(context, running, options, fromMs);
  if (options.tail === null || options.follow) yield* lines;
  else yield* tailOf(lines, options.tail);
}

async function* linesSince(
  context: EngineContext,
  running: Running,
  options: OutputOptions,
  fromMs: number,
): AsyncGenerator {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  options.signal.addEventListener('abort', end, { once: true });
  using _watch = context.events.subscribe(({ event }) => {
    if (event.workload === running.name && event.event === 'exited' && event.final) end();
  });
  if (running.instance === null) end();
  for await (const line of readCriLog(outputPath(context, running.name), {
    follow: options.follow,
    signal: ended.signal,
  })) {
    if (fromMs === 0 || Date.parse(line.time) >= fromMs - CLOCK_SLACK_MS) yield documentOf(line);
  }
}

/** conmon may stamp the first line a moment before the engine notes the start. */
const CLOCK_SLACK_MS = 50;

function documentOf({ time, stream, text, isPartial }: LogLine): unknown {
  return { time, stream, text, partial: isPartial };
}

async function* tailOf(lines: AsyncIterable<unknown>, count: number | null): AsyncGenerator {
  if (count === null) return yield* lines;
  const last: unknown[] = [];
  for await (const line of lines) {
    last.push(line);
    if (last.length > count) last.shift();
  }
  return yield* last;
}

async function* auditLines(path: string): AsyncGenerator {
  for (const file of [`${path}.1`, path]) {
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'utf8').split('\n')) if (line !== '') yield JSON.parse(line);
  }
}

/** Where the streams of a running workload are. See `Engine.attachPath`. */
export function attachPath(running: Pick<Running, 'name' | 'instance'>): string {
  const path = running.instance?.sandbox.attachSocketPath() ?? null;
  if (path !== null) return path;
  throw new EngineError('ENGINE_STATE', `${running.name} has no streams to attach to`, {
    exit: exitStatus.usage,
    hint: 'Start it with -i or -t.',
  });
}
