// The use cases, as the edges call them: one value, opened once by the supervisor.
import type {
  BaselineDocument,
  BaselineSubject,
  ExportBaselineRequest,
  ImportBaselineRequest,
  ImportedBaseline,
  IncidentDocument,
  LearningDocument,
  LearnRequest,
  LoggedEnvelope,
  IncidentNote,
  OverrideRequest,
  RunRequest,
  ScoreDocument,
  WorkloadDocument,
  WorkloadEvent,
} from '../api/index.ts';
import type { NumberedEvent } from './event-bus.ts';
import type { KeyCommand, KeyDocument } from './keys.ts';
import type { ServedFile } from '../ledger/index.ts';
import type { DeployRecord } from './recording-deploy.ts';
import type { Teaching } from './teaching.ts';

/** What a stream of events asks for. */
export interface EventFilter {
  readonly workload: string | null;
  /** Kept events after this number come first; null: only what happens from now. */
  readonly afterSeq: number | null;
}

export interface Engine extends AsyncDisposable {
  /** Number of workloads that run or will run again. */
  readonly activeCount: number;
  /**
   * Admits and starts a workload; `report` gets its events (`progress`, `admitted`, `started`) as they happen.
   *
   * @throws EngineError ENGINE_REFUSED (exit 3) when the policy or the score denies it, ENGINE_NAME_IN_USE, ENGINE_CAPACITY;
   * ArtifactError, PolicyError, SandboxError as they say
   */
  run(request: RunRequest, report: (event: WorkloadEvent) => void): Promise<WorkloadDocument>;
  list(): WorkloadDocument[];
  inspect(name: string): WorkloadDocument;
  /** Sends the stop signal, then ends what is left after `timeoutMs` (null: the workload's own). */
  stop(name: string, timeoutMs: number | null): Promise<WorkloadDocument>;
  remove(name: string, options: { readonly force: boolean }): Promise<void>;
  rollback(name: string, reason: string): Promise<WorkloadDocument>;
  override(name: string, request: OverrideRequest): Promise<WorkloadDocument>;
  /** `key`: who ends it, as in the request of an override. */
  clearOverride(name: string, key: string | null): Promise<WorkloadDocument>;
  listIncidents(filter: { readonly workload: string | null; readonly openOnly: boolean }): IncidentDocument[];
  incident(id: string): IncidentDocument;
  noteIncident(id: string, state: 'acknowledged' | 'resolved', note: IncidentNote): Promise<IncidentDocument>;
  score(reference: string, options: { readonly rootfs: boolean }): Promise<ScoreDocument>;
  changeKeys(command: KeyCommand): Promise<KeyDocument>;
  attest(request: AttestRequest): Promise<AttestationDocument>;
  /** Attests that a workload runs here, as its start did; what is attested of this instance already stays as it is. */
  recordDeploy(name: string): Promise<DeployRecord>;
  /** Signs statements about things by their digests, in order; each is kept, and in the journal. */
  recordStatements(key: string, statements: readonly StatementRequest[]): Promise<readonly RecordedStatement[]>;
  /**
   * Takes what others attested: a DSSE envelope that a key trusted here signed. It is kept and in the log, once; what runs is judged anew.
   *
   * @throws ProvenanceError with nothing stored
   */
  admitEnvelope(envelope: Uint8Array): Promise<LoggedEnvelope>;
  /** Runs a learning phase that a person vouches for to its end. */
  learnBaseline(request: LearnRequest, teaching: Teaching): Promise<LearningDocument>;
  /** What is normal for an artifact, for each kind of sandbox that it ran in. */
  showBaselines(subject: BaselineSubject): Promise<BaselineDocument[]>;
  /** Signs a baseline for others. */
  exportBaseline(request: ExportBaselineRequest): Promise<AttestationDocument>;
  /** Takes over what others learnt; refused unless a key that is trusted for it signed it. */
  importBaseline(request: ImportBaselineRequest): Promise<ImportedBaseline>;
  /** Kept events that match, oldest first, then live ones; dispose to stop. */
  subscribe(filter: EventFilter, listener: (numbered: NumberedEvent) => void): Disposable;
  /** What a workload wrote, or its audit events; ends when there is no more, or with the signal. */
  output(name: string, options: OutputOptions): AsyncIterable<unknown>;
  auditPath(name: string): string;
  /** Where a client joins the workload's streams. @throws EngineError ENGINE_STATE when it does not run */
  attachPath(name: string): string;
  /** A client has joined: the first instruction may run. */
  attached(name: string): void;
  resizeTerminal(name: string, columns: number, rows: number): void;
  /** Prometheus text. */
  metrics(): Promise<string>;
  readonly policyText: string;
  /** A file of the home's own log, by its path as C2SP tlog-tiles has it; null when there is none. */
  logFile(path: string): ServedFile | null;
  /** Ends every workload; for `shutdown --stop-workloads`. */
  stopAll(): Promise<void>;
}

/** What is asked of a workload's output. */
export interface OutputOptions {
  readonly follow: boolean;
  /** Only the last lines; null: all. */
  readonly tail: number | null;
  /** The audit log instead of what it wrote. */
  readonly audit: boolean;
  /** Only of the present instance. */
  readonly onlyCurrent: boolean;
  readonly signal: AbortSignal;
}

/** A statement to be signed. */
export interface StatementRequest {
  /** For people. */
  readonly name: string;
  /** SHA-256 of what it is about. */
  readonly digest: string;
  /** More that it is about; with the first at most 32. */
  readonly alsoAbout?: readonly { readonly name: string; readonly digest: string }[] | undefined;
  readonly predicateType: string;
  readonly predicate: unknown;
}

/** A statement that was signed. */
export interface RecordedStatement {
  readonly digest: string;
  readonly envelopeDigest: string;
  readonly logIndex: number;
}

/** What `attest` signs. */
export interface AttestRequest {
  readonly reference: string;
  readonly rootfs: boolean;
  readonly predicateType: string;
  readonly predicate: unknown;
  readonly key: string;
  /** What the artifact must be, where the predicate was made from its content. */
  readonly digest?: string | undefined;
}

export interface AttestationDocument {
  readonly artifact: { readonly digest: string; readonly name: string };
  readonly envelopeDigest: string;
  readonly keyId: string;
  readonly predicateType: string;
  readonly logIndex: number;
  readonly envelope: unknown;
}
