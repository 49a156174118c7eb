// `baseline import` as a use case: what others learnt of an artifact, taken over when a key that is trusted for it signed it.
import { type ImportBaselineRequest, type ImportedBaseline, baselineLimits } from '../api/index.ts';
import type { Digest } from '../artifact/index.ts';
import { modelDigest } from '../behaviour/index.ts';
import { exitStatus } from '../base/index.ts';
import {
  admitEnvelope,
  excerptOf,
  parseEnvelope,
  parseLeaf,
  parseStatement,
  RUNTIME_TRACE_TYPE,
} from '../provenance/index.ts';
import type { AdmitEnvelope } from './admitting-envelopes.ts';
import { noBaseline, parseBaselinePredicate, type TravellingBaseline } from './baseline-predicate.ts';
import { findSubject, type FoundSubject, nameHere } from './baseline-subject.ts';
import type { Baseline } from './code-memory.ts';
import type { EngineContext } from './context.ts';
import { EngineError } from './errors.ts';
import { documentTypes, issuerOf } from './recording.ts';
import { recordPersonal } from './signing-entries.ts';
import { phaseUnderWay } from './teaching.ts';

/** A baseline that was verified, and who signed it. */
interface Verified extends TravellingBaseline {
  readonly digest: Digest;
  readonly name: string;
  readonly signedBy: readonly string[];
}

/**
 * Takes a baseline over. It judges at once, and gives no trust: the runtime state of the artifact stays what it is. Nothing is stored
 * unless all of it holds.
 *
 * A signature counts by a key that is trusted for runtime traces (an operator, or who has the type in its trust record) in the scope of
 * the artifact's name: the one that is given, else the one that it has here. Without either only trust in every name will do, as the name in
 * the statement is the signer's own choice.
 *
 * @throws EngineError ENGINE_BASELINE, ENGINE_BASELINE_KNOWN, ENGINE_LEARNING; BehaviourError BEHAVIOUR_MODEL; ProvenanceError
 * PROVENANCE_JSON, PROVENANCE_ENVELOPE, PROVENANCE_STATEMENT, PROVENANCE_SIGNATURE, PROVENANCE_UNTRUSTED, and as `recordPersonal`
 */
export async function importBaseline(
  context: EngineContext,
  admit: AdmitEnvelope,
  request: ImportBaselineRequest,
): Promise<ImportedBaseline> {
  const bytes = Buffer.from(request.envelope, 'base64');
  if (bytes.length > baselineLimits.fileBytesMax)
    throw noBaseline(
      `the file has ${bytes.length} bytes; a signed baseline has at most ${baselineLimits.fileBytesMax}`,
    );
  const about = request.about === null ? null : await findSubject(context, request.about);
  const verified = await verifyBaseline(context, bytes, about);
  const { digest, driver, model, name } = verified;
  const before = refuseUnlessFree(context, verified, request.replace);
  const { logIndex, envelopeDigest } = await admit(bytes);
  const digestOfModel = modelDigest(model);
  await recordImport(context, verified, { request, before, envelopeDigest, logIndex, digestOfModel });
  const by = verified.signedBy.join(', ');
  const atMs = context.clock.nowMs();
  const imported = { atMs, envelopeDigest, logIndex, by, windows: model.windows, modelDigest: digestOfModel };
  // What runs has been learning meanwhile, and may have been asked about: the same rule holds for what is there now.
  const { model: replaced } = refuseUnlessFree(context, verified, request.replace);
  context.memory.putBaseline(digest, driver, { model, origin: { imported, phases: [] }, waiting: [] });
  context.memory.save(atMs, { now: true });
  return {
    artifact: { digest, name },
    driver,
    windows: model.windows,
    modelDigest: digestOfModel,
    signedBy: [...verified.signedBy],
    envelopeDigest,
    logIndex,
    replacedWindows: replaced.windows,
  };
}

async function verifyBaseline(context: EngineContext, bytes: Buffer, about: FoundSubject | null): Promise<Verified> {
  // Parsed before it is verified only to know whose name the scope is matched with; it is held to that below.
  const { subjects, predicateType, predicate } = parseStatement(parseEnvelope(bytes).payload);
  if (predicateType !== RUNTIME_TRACE_TYPE)
    throw noBaseline(`the statement is a '${excerptOf(predicateType, 120)}', not a runtime trace`);
  const [subject, ...others] = subjects;
  if (subject === undefined || others.length > 0) throw noBaseline('a baseline is about one artifact, by its SHA-256');
  const { digest } = subject;
  if (about !== null && about.digest !== digest)
    throw noBaseline(`the baseline is about ${digest}, not about ${about.digest}`, 'Import the one of this artifact.');
  const name = about?.name ?? nameHere(context, digest);
  const nowMs = context.clock.nowMs();
  const keyring = context.keyring.state();
  // An empty name lies in no scope but that of every name.
  const { leaf } = await admitEnvelope(bytes, { keyring, nowMs, issuer: issuerOf(context.home), name: name ?? '' });
  const signers = new Set(parseLeaf(leaf).keys);
  const signedBy = keyring.keys.filter(({ id }) => signers.has(id)).map((key) => key.name);
  const { driver, model } = parseBaselinePredicate(predicate);
  if (model.architecture !== context.memory.architecture)
    throw noBaseline(
      `the baseline counts the calls of ${model.architecture}, and this host has those of ${context.memory.architecture}`,
      'Learn it on a host of this architecture.',
    );
  return { digest, name: name ?? digest, signedBy, driver, model };
}

/** What is there now. A baseline is never mixed with another: nobody could say whose the mixture is. */
function refuseUnlessFree(context: EngineContext, { digest, name, driver }: Verified, replace: boolean): Baseline {
  if (context.phases.has(digest)) throw phaseUnderWay({ digest, name, workload: null });
  const known = context.memory.baselineOf(digest, driver);
  if (known.model.windows === 0 || replace) return known;
  throw new EngineError(
    'ENGINE_BASELINE_KNOWN',
    `there is a baseline of ${digest} here already, of ${known.model.windows} windows under ${driver}`,
    {
      exit: exitStatus.denied,
      hint: 'Look at it (provost baseline show), and say --replace to put this one in its place.',
    },
  );
}

interface ImportEntry {
  readonly request: ImportBaselineRequest;
  readonly before: Baseline;
  readonly envelopeDigest: string;
  readonly logIndex: number;
  readonly digestOfModel: string;
}

/** Who took it over, and in place of what. */
async function recordImport(
  context: EngineContext,
  { digest, name, driver }: Verified,
  { request, before, envelopeDigest, logIndex, digestOfModel }: ImportEntry,
): Promise<void> {
  const { windows } = before.model;
  const replaced = windows === 0 ? null : { windows, modelDigest: modelDigest(before.model) };
  const baseline = { artifact: digest, driver, envelopeDigest, modelDigest: digestOfModel, replaced };
  const entry = {
    kind: 'override',
    type: documentTypes.baseline,
    document: { baseline, reason: request.reason },
    subjects: [digest],
    parents: [logIndex],
    flush: true,
  } as const;
  await recordPersonal(context, entry, { key: request.key ?? null, artifactName: name });
}
