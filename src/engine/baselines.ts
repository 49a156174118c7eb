// `baseline show` and `baseline export` as use cases: what is normal for an artifact, in words and as a signed statement for others.
import type { BaselineDocument, BaselineSubject, ExportBaselineRequest } from '../api/index.ts';
import { type Digest, parseDigest } from '../artifact/index.ts';
import { describeModel, modelDigest, parseTravellingModel } from '../behaviour/index.ts';
import { exitStatus, rfc3339 } from '../base/index.ts';
import {
  attest,
  parseEnvelope,
  parseStatement,
  ProvenanceError,
  RUNTIME_TRACE_TYPE,
  type StoredAttestation,
} from '../provenance/index.ts';
import type { DriverName } from '../sandbox/index.ts';
import { makeBaselinePredicate } from './baseline-predicate.ts';
import { findSubject, type FoundSubject } from './baseline-subject.ts';
import type { Baseline } from './code-memory.ts';
import type { EngineContext } from './context.ts';
import type { AttestationDocument } from './engine.ts';
import { EngineError } from './errors.ts';
import { issuerOf } from './recording.ts';

const DRIVERS: readonly DriverName[] = ['runc', 'gvisor'];

/** Baselines that are kept beside an artifact as attestations: each is verified at every admission. The log has all. */
const TRACES_KEPT_MAX = 8;

/**
 * What is known of an artifact's behaviour, for each kind of sandbox that it ran in.
 *
 * @throws EngineError ENGINE_NO_BASELINE; ArtifactError
 */
export async function showBaselines(context: EngineContext, subject: BaselineSubject): Promise<BaselineDocument[]> {
  const about = await findSubject(context, subject);
  return learntOf(context, about).map(({ driver, baseline }) => documentOf(about, driver, baseline));
}

interface Learnt {
  readonly driver: DriverName;
  readonly baseline: Baseline;
}

function learntOf({ memory }: EngineContext, { digest, name }: FoundSubject): Learnt[] {
  const known = DRIVERS.map((driver) => ({ driver, baseline: memory.baselineOf(digest, driver) })).filter(
    ({ baseline }) => baseline.model.windows > 0,
  );
  if (known.length > 0) return known;
  throw new EngineError('ENGINE_NO_BASELINE', `nothing is known here of how ${name} behaves`, {
    exit: exitStatus.evidenceMissing,
    hint: 'Run it for a while (provost run), or take over what others learnt: provost baseline import FILE.',
  });
}

function documentOf({ digest, name }: FoundSubject, driver: DriverName, { model, origin }: Baseline): BaselineDocument {
  const { imported, phases } = origin;
  const { calls, programs, destinations, files, amounts, shares, ...described } = describeModel(model);
  return {
    artifact: { digest, name },
    driver,
    architecture: model.architecture,
    modelDigest: modelDigest(model),
    ...described,
    calls: [...calls],
    programs: [...programs],
    destinations: [...destinations],
    files: [...files],
    amounts: [...amounts],
    shares: [...shares],
    imported:
      imported === null
        ? null
        : {
            at: rfc3339(imported.atMs),
            by: imported.by,
            windows: imported.windows,
            modelDigest: imported.modelDigest,
            envelopeDigest: imported.envelopeDigest,
            logIndex: imported.logIndex,
          },
    phases: phases.map(({ startedMs, endedMs, windows, reason, logIndex }) => ({
      started: rfc3339(startedMs),
      ended: rfc3339(endedMs),
      windows,
      reason,
      logIndex,
    })),
  };
}

/**
 * Signs a baseline as a runtime trace of its artifact; it is kept as an attestation, and in the log.
 *
 * @throws EngineError ENGINE_NO_BASELINE when too little was learnt, ENGINE_BASELINE when several sandboxes have one and none is named;
 * ProvenanceError PROVENANCE_KEY_UNKNOWN, PROVENANCE_KEY_RETIRED, PROVENANCE_KEY_PRIVATE
 */
export async function exportBaseline(
  context: EngineContext,
  request: ExportBaselineRequest,
): Promise<AttestationDocument> {
  const about = await findSubject(context, request);
  const { driver, baseline } = choose(learntOf(context, about), request.driver);
  const signer = context.keyring.openSigner(request.key);
  const digest = parseDigest(about.digest);
  // What is not worth reading is not worth signing: as strict as an import.
  const model = parseTravellingModel(baseline.model);
  const told = { homeId: context.home.id, digest, nowMs: context.clock.nowMs() };
  const made = attest({
    subjects: [{ digest, name: about.name }],
    predicateType: RUNTIME_TRACE_TYPE,
    predicate: makeBaselinePredicate({ driver, model }, told),
    signer,
    issuer: issuerOf(context.home),
  });
  await context.content.put(made.bytes);
  const logIndex = await context.journal.append(made.leaf, { flush: true });
  await context.attestations.replace(made.bytes, logIndex, oldTraces(context.attestations.list(digest)));
  return {
    artifact: { digest, name: about.name },
    envelopeDigest: made.digest,
    keyId: signer.keyId,
    predicateType: RUNTIME_TRACE_TYPE,
    logIndex,
    envelope: JSON.parse(made.bytes.toString('utf8')) as unknown,
  };
}

function choose(learnt: readonly Learnt[], driver: DriverName | null): Learnt {
  const wanted = driver === null ? learnt : learnt.filter((one) => one.driver === driver);
  const [first, ...others] = wanted;
  if (first === undefined) {
    throw new EngineError('ENGINE_NO_BASELINE', `nothing was learnt under ${driver}`, {
      exit: exitStatus.evidenceMissing,
      hint: `It was learnt under ${learnt.map((one) => one.driver).join(', ')}.`,
    });
  }
  if (others.length === 0) return first;
  throw new EngineError('ENGINE_BASELINE', 'there is a baseline for each of two kinds of sandbox', {
    exit: exitStatus.usage,
    hint: `Say which: --driver ${wanted.map((one) => one.driver).join(' or --driver ')}.`,
  });
}

/** Traces that make room for one more: all but the newest. */
function oldTraces(attestations: readonly StoredAttestation[]): ReadonlySet<Digest> {
  const traces = attestations
    .filter(({ bytes, logIndex }) => logIndex !== null && isTrace(bytes))
    .toSorted((a, b) => (b.logIndex ?? 0) - (a.logIndex ?? 0));
  return new Set(traces.slice(TRACES_KEPT_MAX - 1).map(({ digest }) => digest));
}

/** What cannot be read is left for verification to find. */
function isTrace(bytes: Buffer): boolean {
  try {
    return parseStatement(parseEnvelope(bytes).payload).predicateType === RUNTIME_TRACE_TYPE;
  } catch (error) {
    if (error instanceof ProvenanceError) return false;
    throw error;
  }
}
