// Alerts to whom the policy names: stderr, a JSON Lines file, a webhook. CloudEvents 1.0.
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import type { IncidentDocument } from '../api/index.ts';
import { messageOf } from '../base/index.ts';
import type { Policy } from '../policy/index.ts';
import { alertEvent } from '../response/index.ts';
import type { EngineContext } from './context.ts';

/** A receiver on the same network answers within milliseconds; one that hangs must not hold up the end of the supervisor. */
const WEBHOOK_TIMEOUT_MS = 3000;
const WEBHOOK_ATTEMPTS = 3;
const WEBHOOK_PAUSE_MS = 200;

/** Sends one alert to every sink. A sink that fails does not keep the others from being told; the first failure is thrown at the end. */
export async function alertOf(
  context: Pick<EngineContext, 'home'>,
  { alerts }: Pick<Policy, 'alerts'>,
  incident: IncidentDocument,
): Promise<void> {
  const event = alertEvent(incident, `provost/${context.home.id}`);
  if (alerts.stderr)
    process.stderr.write(
      `provost alert: ${incident.severity} ${incident.kind} in ${incident.workload}: ${incident.evidence.join('; ')}\n`,
    );
  const results = await Promise.allSettled([
    alerts.file === null
      ? null
      : appendFile(join(context.home.dir, alerts.file), `${JSON.stringify(event)}\n`, { mode: 0o640 }),
    alerts.webhook === null ? null : post(alerts.webhook, event),
  ]);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function post(url: string, event: unknown): Promise<void> {
  let last: unknown = null;
  for (let attempt = 0; attempt < WEBHOOK_ATTEMPTS; attempt += 1) {
    if (attempt > 0) await delay(WEBHOOK_PAUSE_MS);
    try {
      const reply = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/cloudevents+json' },
        body: JSON.stringify(event),
        signal: AbortSignal.timeout(WEBHOOK_TIMEOUT_MS),
        redirect: 'error',
      });
      await reply.body?.cancel();
      if (reply.ok) return;
      last = new Error(`it answered ${reply.status}`);
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`the webhook took no alert: ${messageOf(last)}`, { cause: last });
}
