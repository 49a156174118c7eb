// The wire: what crosses the socket, as schemas and their types.
export {
  incidentNote,
  type IncidentNote,
  reasonNote,
  overrideRequest,
  type OverrideRequest,
  plainRequest,
  requestLimits,
  runRequest,
  type RunRequest,
  stopRequest,
  workloadName,
} from './run-request.ts';
export {
  type ActionDocument,
  actionDocument,
  type ErrorDocument,
  errorDocument,
  grantDocument,
  type IncidentDocument,
  incidentDocument,
  type LoggedEnvelope,
  loggedEnvelope,
  type ScoreDocument,
  scoreDocument,
  type UsageDocument,
  type WorkloadDocument,
  workloadDocument,
  type WorkloadState,
} from './documents.ts';
export { type HomeLayout, homeLayout } from './home-layout.ts';
export { type EventOf, type WorkloadEvent, workloadEvent } from './event.ts';
