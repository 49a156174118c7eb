// The loop and the use cases: score, grant, run, watch, respond, replay. The only room that wires the others.
export { type TarInput, writeOciLayout } from '../artifact/index.ts';
export { openAttachment } from '../sandbox/index.ts';
export { type BundleDocument, type BundleOptions, verifyBundle } from './bundles.ts';
export type { AdmitEnvelope, EnvelopeLog } from './admitting-envelopes.ts';
export { examineHost, type HostCheck, type HostReport } from './doctor.ts';
export type {
  AttestationDocument,
  AttestRequest,
  Engine,
  EventFilter,
  OutputOptions,
  RecordedStatement,
  StatementRequest,
} from './engine.ts';
export { EngineError, type EngineErrorCode } from './errors.ts';
export type { NumberedEvent } from './event-bus.ts';
export { freezeHome } from './freezing.ts';
export { findHome, type Home, openHome } from './home.ts';
export { type KeyCommand, type KeyDocument, listKeyDocuments } from './keys.ts';
export {
  type GoSumLog,
  type LogFormat,
  makePublicLog,
  parseLogFormat,
  type PublicLog,
  readServedFile,
  type ServedFile,
  type Witness,
} from '../ledger/index.ts';
export {
  checkReceipt,
  type CheckpointDocument,
  defaultOrigin,
  eraseLogDocument,
  type LogTrust,
  mirrorLog,
  proveEntry,
  readCheckpoint,
  readLogDocument,
  verifyLog,
} from './logs.ts';
export type { WindowObserver } from './context.ts';
export { type EngineOptions, openEngine } from './open-engine.ts';
export { openWitnessAt, type ServedLog, serveLog } from './serving-logs.ts';
export { planRun, type RunPlan } from './plan-run.ts';
export {
  openSource,
  sarifOfSource,
  type SourceHistory,
  type SourceOptions,
  type SourceRecord,
} from './recording-source.ts';
export { type BuildHost, type BuildStep, isolatedBuildPolicy, ISOLATED_TOP } from './building.ts';
export { type BuildOptions, type BuildReport, recordBuild } from './recording-build.ts';
export { type PackageOptions, type PackageReport, reportPackage } from './recording-package.ts';
export { describeTests, readForAttesting, type TestOptions, watchReport } from './recording-test.ts';
export { type Reproduction, reproduceBuild, type ReproduceOptions } from './reproducing.ts';
export { type WorkTreeGit } from './work-tree.ts';
export { type DeployRecord } from './recording-deploy.ts';
export { type DependencyOptions, type DependencyReport, reportDependencies } from './recording-deps.ts';
export { checkPolicy, policyInForce, type Progress, type ReadOptions, scoreArtifact } from './reading.ts';
export { type Replayed, replayDecisions } from './replay.ts';
export { type ChainLinkDocument, type ChainNodeDocument } from './chain-document.ts';
export { type ReceiptFile } from './chain-receipts.ts';
export { type VerificationDocument, type Verified, type VerifyOptions, verifyReference } from './verifying.ts';
