// What publishers did before, as evidence about what they publish now.
export {
  type Fault,
  type FaultKind,
  type History,
  publisherReputation,
  type PublisherRecord,
  ReputationError,
  type ReputationErrorCode,
  type ReputationSettings,
} from './publisher.ts';
