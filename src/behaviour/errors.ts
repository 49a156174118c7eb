// What can go wrong with models that come from outside.
import { ProvostError } from '../base/index.ts';

export type BehaviourErrorCode = 'BEHAVIOUR_MODEL';

export class BehaviourError extends ProvostError<BehaviourErrorCode> {}
