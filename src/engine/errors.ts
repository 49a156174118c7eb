// What can go wrong in the loop and the use cases.
import { ProvostError } from '../base/index.ts';

export type EngineErrorCode =
  | 'ENGINE_NAME_IN_USE'
  | 'ENGINE_NO_WORKLOAD'
  | 'ENGINE_NO_INCIDENT'
  | 'ENGINE_NO_REVISION'
  | 'ENGINE_STATE'
  | 'ENGINE_REFUSED'
  | 'ENGINE_CAPACITY'
  | 'ENGINE_HOME'
  | 'ENGINE_NO_COMMAND'
  | 'ENGINE_MOUNT'
  | 'ENGINE_NO_DRIVER'
  | 'ENGINE_REPLAY'
  | 'ENGINE_LOG'
  | 'ENGINE_LOG_ENTRY'
  | 'ENGINE_SOURCE'
  | 'ENGINE_ARTIFACT_CHANGED'
  | 'ENGINE_NO_DEPENDENCIES'
  | 'ENGINE_ORIGINS'
  | 'ENGINE_PREDICATE_SIZE'
  | 'ENGINE_ATTESTATIONS'
  | 'ENGINE_RECEIPTS'
  | 'ENGINE_WORK_TREE'
  | 'ENGINE_NO_PRODUCTS'
  | 'ENGINE_NO_PROVENANCE'
  | 'ENGINE_NOT_REPRODUCIBLE'
  | 'ENGINE_PACKAGE'
  | 'ENGINE_REPORT';

export class EngineError extends ProvostError<EngineErrorCode> {}
