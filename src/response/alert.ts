// Alerts in the forms that other systems read: CloudEvents and Alertmanager's webhook. Pure; sending is the engine's.
import { sha256Hex } from '../base/index.ts';

/** What an alert says of an incident; the incident document of the interface has these fields and more. */
export interface AlertIncident {
  readonly id: string;
  readonly workload: string;
  readonly artifact: string;
  readonly revision: number;
  readonly kind: string;
  readonly severity: 'low' | 'medium' | 'high' | 'critical';
  readonly state: 'open' | 'acknowledged' | 'resolved';
  /** RFC 3339. */
  readonly opened: string;
  readonly evidence: readonly string[];
  readonly actions: readonly { readonly kind: string; readonly enforced: boolean; readonly ok: boolean }[];
  readonly resolution: { readonly at: string } | null;
}

/** A CloudEvent 1.0 in JSON form; its media type is `application/cloudevents+json`. */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: AlertIncident;
}

/**
 * Writes an incident as a CloudEvent. The id differs for each state and each count of actions, as the standard demands of events
 * of one source.
 *
 * @param source a URI reference of this home, such as `/provost/3f9a01`
 * @source https://github.com/cloudevents/spec, v1.0.2
 */
export function alertEvent(incident: AlertIncident, source: string): CloudEvent {
  return {
    specversion: '1.0',
    id: `${incident.id}-${incident.state}-${incident.actions.length}`,
    source,
    type: `dev.provost.incident.${incident.state}`,
    subject: incident.workload,
    time: incident.resolution?.at ?? incident.opened,
    datacontenttype: 'application/json',
    data: incident,
  };
}

/** One alert as Alertmanager's webhook has it. */
interface ManagedAlert {
  readonly status: 'firing' | 'resolved';
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL: string;
  readonly fingerprint: string;
}

/** The body that Alertmanager posts to a webhook receiver, version 4. */
export interface AlertmanagerMessage {
  readonly version: '4';
  readonly groupKey: string;
  readonly truncatedAlerts: number;
  readonly status: 'firing' | 'resolved';
  readonly receiver: string;
  readonly groupLabels: Readonly<Record<string, string>>;
  readonly commonLabels: Readonly<Record<string, string>>;
  readonly commonAnnotations: Readonly<Record<string, string>>;
  readonly externalURL: string;
  readonly alerts: readonly ManagedAlert[];
}

/** What Alertmanager writes for an alert that has not ended. */
const NOT_ENDED = '0001-01-01T00:00:00Z';

/**
 * Writes an incident in the form of Alertmanager's webhook, for receivers that know only that.
 *
 * @source https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
 */
export function alertmanagerMessage(incident: AlertIncident, source: string): AlertmanagerMessage {
  const status = incident.state === 'resolved' ? 'resolved' : 'firing';
  const labels = {
    alertname: 'ProvostIncident',
    incident: incident.id,
    kind: incident.kind,
    severity: incident.severity,
    workload: incident.workload,
  };
  const annotations = {
    summary: `${incident.severity} incident ${incident.id}: ${incident.kind} in ${incident.workload}`,
    description: incident.evidence.join('; '),
    actions: incident.actions.map(actionText).join(', '),
    artifact: incident.artifact,
  };
  const alert = {
    status,
    labels,
    annotations,
    startsAt: incident.opened,
    endsAt: incident.resolution?.at ?? NOT_ENDED,
    generatorURL: source,
    fingerprint: sha256Hex(JSON.stringify(labels)).slice(0, 16),
  } as const;
  return {
    version: '4',
    groupKey: `{}:{incident="${incident.id}"}`,
    truncatedAlerts: 0,
    status,
    receiver: 'provost',
    groupLabels: { incident: incident.id },
    commonLabels: labels,
    commonAnnotations: annotations,
    externalURL: source,
    alerts: [alert],
  };
}

function actionText({ kind, enforced, ok }: AlertIncident['actions'][number]): string {
  if (!enforced) return `${kind} (planned)`;
  return ok ? kind : `${kind} (failed)`;
}
