// Event in, planned actions out: never acts.
export {
  type AlertIncident,
  alertEvent,
  type AlertmanagerMessage,
  alertmanagerMessage,
  type CloudEvent,
} from './alert.ts';
export {
  type Action,
  type ActionKind,
  actionOrder,
  mergePlans,
  planResponse,
  reasonOf,
  type ResponseContext,
  type Trigger,
} from './plan.ts';
