import { expect, it } from 'vitest';

import { type AlertIncident, alertEvent, alertmanagerMessage } from './index.ts';

const incident: AlertIncident = {
  id: 'inc-7',
  workload: 'web',
  artifact: 'sha256:aa',
  revision: 2,
  kind: 'port-scan',
  severity: 'high',
  state: 'open',
  opened: '2026-01-02T03:04:05.000Z',
  evidence: ['80 new destinations', '900 packets'],
  actions: [
    { kind: 'restrict', enforced: true, ok: true },
    { kind: 'freeze', enforced: true, ok: false },
    { kind: 'terminate', enforced: false, ok: true },
  ],
  resolution: null,
};
const resolved: AlertIncident = { ...incident, state: 'resolved', resolution: { at: '2026-01-03T00:00:00.000Z' } };

it('writes a CloudEvent with every required attribute and the incident as data', () => {
  expect(alertEvent(incident, '/provost/3f9a01')).toEqual({
    specversion: '1.0',
    id: 'inc-7-open-3',
    source: '/provost/3f9a01',
    type: 'dev.provost.incident.open',
    subject: 'web',
    time: '2026-01-02T03:04:05.000Z',
    datacontenttype: 'application/json',
    data: incident,
  });
});

it('gives each stage of an incident its own id, time and type', () => {
  const ids = [incident, { ...incident, actions: [] }, resolved].map((one) => alertEvent(one, '/provost/a').id);
  expect(new Set(ids).size).toBe(3);
  expect(alertEvent(resolved, '/provost/a')).toMatchObject({
    type: 'dev.provost.incident.resolved',
    time: '2026-01-03T00:00:00.000Z',
  });
});

it('writes what Alertmanager posts to a webhook: firing while open, resolved with its end', () => {
  const firing = alertmanagerMessage(incident, '/provost/a');
  expect(firing).toMatchObject({ version: '4', status: 'firing', receiver: 'provost', truncatedAlerts: 0 });
  expect(firing.alerts).toHaveLength(1);
  expect(firing.alerts[0]).toMatchObject({
    status: 'firing',
    labels: { alertname: 'ProvostIncident', severity: 'high', workload: 'web' },
    annotations: {
      description: '80 new destinations; 900 packets',
      actions: 'restrict, freeze (failed), terminate (planned)',
    },
    startsAt: incident.opened,
    endsAt: '0001-01-01T00:00:00Z',
  });
  const ended = alertmanagerMessage(resolved, '/provost/a');
  expect(ended).toMatchObject({
    status: 'resolved',
    alerts: [{ status: 'resolved', endsAt: '2026-01-03T00:00:00.000Z' }],
  });
  expect(ended.alerts[0]?.fingerprint).toBe(firing.alerts[0]?.fingerprint);
});
