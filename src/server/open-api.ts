// The OpenAPI 3.1 document, made from the same schemas that check requests.
import { z } from 'zod';

import {
  baselineDocument,
  errorDocument,
  exportBaselineRequest,
  importBaselineRequest,
  importedBaseline,
  incidentDocument,
  incidentNote,
  learningDocument,
  learnRequest,
  loggedEnvelope,
  overrideRequest,
  reasonNote,
  runRequest,
  scoreDocument,
  stopRequest,
  workloadDocument,
  workloadEvent,
} from '../api/index.ts';

interface Operation {
  readonly method: 'get' | 'post' | 'delete';
  readonly path: string;
  readonly summary: string;
  readonly body?: string;
  readonly answer?: string;
  readonly list?: boolean;
}

/** As https://github.com/secure-systems-lab/dsse has it; what is in it is checked when it is verified. */
const envelope = z.object({
  payloadType: z.literal('application/vnd.in-toto+json'),
  payload: z.base64(),
  signatures: z.array(z.object({ keyid: z.string().optional(), sig: z.base64() })).min(1),
});

const schemas = {
  RunRequest: runRequest,
  StopRequest: stopRequest,
  OverrideRequest: overrideRequest,
  IncidentNote: incidentNote,
  ReasonNote: reasonNote,
  Workload: workloadDocument,
  Incident: incidentDocument,
  Score: scoreDocument,
  Event: workloadEvent,
  Envelope: envelope,
  LoggedEnvelope: loggedEnvelope,
  LearnRequest: learnRequest,
  Learning: learningDocument,
  Baseline: baselineDocument,
  ExportBaselineRequest: exportBaselineRequest,
  ImportBaselineRequest: importBaselineRequest,
  ImportedBaseline: importedBaseline,
  Error: errorDocument,
};

const operations: readonly Operation[] = [
  { method: 'get', path: '/v1/workloads', summary: 'All workloads', answer: 'Workload', list: true },
  {
    method: 'post',
    path: '/v1/workloads',
    summary: 'Admit and start one; JSON Lines of events',
    body: 'RunRequest',
    answer: 'Event',
  },
  { method: 'get', path: '/v1/workloads/{name}', summary: 'One workload', answer: 'Workload' },
  { method: 'delete', path: '/v1/workloads/{name}', summary: 'Remove it (force=true: also a running one)' },
  { method: 'post', path: '/v1/workloads/{name}/stop', summary: 'Stop it', body: 'StopRequest', answer: 'Workload' },
  {
    method: 'post',
    path: '/v1/workloads/{name}/rollback',
    summary: 'Start the last good revision',
    body: 'ReasonNote',
    answer: 'Workload',
  },
  {
    method: 'post',
    path: '/v1/workloads/{name}/override',
    summary: 'Give it a tier for a time',
    body: 'OverrideRequest',
    answer: 'Workload',
  },
  { method: 'delete', path: '/v1/workloads/{name}/override', summary: 'End the override', answer: 'Workload' },
  {
    method: 'post',
    path: '/v1/workloads/{name}/deployment',
    summary: 'Attest that it runs here, unless its start did',
  },
  { method: 'get', path: '/v1/workloads/{name}/logs', summary: 'Output, as JSON Lines' },
  { method: 'get', path: '/v1/incidents', summary: 'Incidents', answer: 'Incident', list: true },
  {
    method: 'post',
    path: '/v1/incidents/{id}/acknowledge',
    summary: 'A person has seen it',
    body: 'IncidentNote',
    answer: 'Incident',
  },
  {
    method: 'post',
    path: '/v1/incidents/{id}/resolve',
    summary: 'It is over',
    body: 'IncidentNote',
    answer: 'Incident',
  },
  { method: 'get', path: '/v1/artifacts/score', summary: 'A score with its reasons', answer: 'Score' },
  { method: 'get', path: '/v1/baselines', summary: 'What is normal for an artifact', answer: 'Baseline', list: true },
  {
    method: 'post',
    path: '/v1/baselines/learn',
    summary: 'Learn what a workload does, vouched for; JSON Lines: progress, and the result last',
    body: 'LearnRequest',
    answer: 'Learning',
  },
  {
    method: 'post',
    path: '/v1/baselines/export',
    summary: 'Sign a baseline as a runtime trace',
    body: 'ExportBaselineRequest',
  },
  {
    method: 'post',
    path: '/v1/baselines/import',
    summary: 'Take over a baseline that a key trusted here signed',
    body: 'ImportBaselineRequest',
    answer: 'ImportedBaseline',
  },
  { method: 'post', path: '/v1/attestations', summary: 'Sign a statement about an artifact' },
  { method: 'post', path: '/v1/statements', summary: 'Sign statements about things by their digests' },
  { method: 'get', path: '/v1/events', summary: 'Server-sent events; resumes with Last-Event-ID', answer: 'Event' },
  {
    method: 'get',
    path: '/log/checkpoint',
    summary: 'The signed head of this home’s log; its tiles lie beside it (C2SP tlog-tiles)',
  },
  {
    method: 'post',
    path: '/log/add',
    summary:
      'Log an in-toto statement in a DSSE envelope that a key trusted here signed; text/plain answers its index alone',
    body: 'Envelope',
    answer: 'LoggedEnvelope',
  },
  { method: 'get', path: '/v1/policy', summary: 'The policy in force, as YAML' },
  { method: 'get', path: '/metrics', summary: 'Prometheus metrics' },
];

/** The document that GET /openapi.json answers. */
export function openApiDocument(): unknown {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const operation of operations) {
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) };
  }
  const components = Object.fromEntries(
    Object.entries(schemas).map(([name, schema]) => [name, z.toJSONSchema(schema)]),
  );
  return {
    openapi: '3.1.0',
    info: { title: 'Provost', version: '1', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    paths,
    components: { schemas: components },
  };
}

function describe(operation: Operation): unknown {
  const reference = (name: string): unknown => ({ $ref: `#/components/schemas/${name}` });
  const answer =
    operation.answer === undefined
      ? {}
      : {
          content: {
            'application/json': {
              schema:
                operation.list === true
                  ? { type: 'array', items: reference(operation.answer) }
                  : reference(operation.answer),
            },
          },
        };
  const parameters = [...operation.path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1],
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  return {
    summary: operation.summary,
    parameters,
    ...(operation.body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: reference(operation.body) } } } }),
    responses: {
      200: { description: 'Done', ...answer },
      default: { description: 'Refused or failed', content: { 'application/json': { schema: reference('Error') } } },
    },
  };
}
