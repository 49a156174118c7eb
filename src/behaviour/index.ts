// Windows in, verdicts out: learns what is normal for one artifact and says how unusual a window is.
export type { AuditEvent, MemoryLook, Window } from './telemetry.ts';
export type { RuntimeVerdict, Severity, Violation } from '../trust/index.ts';
export { type CallArchitecture, syscallName, syscallNumbers, UNKNOWN_CALL } from './syscall-names.ts';
export { countGrams, gramBucket, gramHash } from './call-grams.ts';
export { reachingCalls } from './reaching-calls.ts';
export { BehaviourError, type BehaviourErrorCode } from './errors.ts';
export { createModel, LEARNING_WINDOWS, type Model, parseModel } from './model-document.ts';
export { learn, modelDigest } from './model.ts';
export { describeModel, type ModelDescription } from './describe-model.ts';
export { parseTravellingModel } from './travelling-model.ts';
export { judge, type JudgeOptions } from './judge.ts';
export { type BehaviourSettings, behaviourSettings, type Limits } from './rules.ts';
export { AlarmPromise } from './sequence/alarm-promise.ts';
export { TraceDetector, type TraceScore } from './sequence/trace-detector.ts';
