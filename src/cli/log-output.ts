// A workload's own output, from the supervisor to our standard streams.
import { z } from 'zod';

import type { Client } from './client.ts';

const logLine = z.object({
  time: z.string(),
  stream: z.enum(['stdout', 'stderr']),
  text: z.string(),
  partial: z.boolean(),
});
export type LogLine = z.infer<typeof logLine>;

export interface FollowOptions {
  readonly client: Client;
  readonly workload: string;
  readonly signal: AbortSignal;
}

/** The path of a workload's log with what is asked of it. */
export function logQuery(workload: string, query: Readonly<Record<string, string>>): string {
  return `/v1/workloads/${encodeURIComponent(workload)}/logs?${new URLSearchParams(query).toString()}`;
}

/** Writes output as it comes, until the workload has ended or the signal is given. */
export async function followOutput({ client, workload, signal }: FollowOptions): Promise<void> {
  try {
    const call = { method: 'GET', path: logQuery(workload, { follow: 'true', instance: 'current' }), signal } as const;
    for await (const line of client.lines(call)) writeLogLine(logLine.parse(line));
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Parses one line of the log stream. */
export function parseLogLine(value: unknown): LogLine {
  return logLine.parse(value);
}

/** Writes one line to the stream that it came from. */
export function writeLogLine(line: LogLine): void {
  const stream = line.stream === 'stderr' ? process.stderr : process.stdout;
  stream.write(line.partial ? line.text : `${line.text}\n`);
}
