// `attest` as a use case: a statement about an artifact, signed, kept, and in the journal.
import { parseDigest } from '../artifact/index.ts';
import { exitStatus } from '../base/index.ts';
import { attest } from '../provenance/index.ts';
import { readArtifact } from './admission.ts';
import type { EngineContext } from './context.ts';
import type { AttestationDocument, AttestRequest, RecordedStatement, StatementRequest } from './engine.ts';
import { EngineError } from './errors.ts';
import { logAttestation } from './keeping-attestations.ts';
import { reassessAll } from './reassessing.ts';
import { issuerOf } from './recording.ts';

/**
 * Signs a statement about an artifact; what runs of it is judged anew at once.
 *
 * @throws EngineError ENGINE_ARTIFACT_CHANGED when it is not the one that the statement was made from
 */
export async function attestArtifact(context: EngineContext, request: AttestRequest): Promise<AttestationDocument> {
  const { digest, name } = await readArtifact(context, request, () => {});
  if (request.digest !== undefined && request.digest !== digest) throw changed(digest);
  const signer = context.keyring.openSigner(request.key);
  const { predicateType, predicate } = request;
  const made = attest({
    subjects: [{ digest, name }],
    predicateType,
    predicate,
    signer,
    issuer: issuerOf(context.home),
  });
  const logIndex = await logAttestation(context, { ...made, subjects: [digest] });
  await reassessAll(context);
  return {
    artifact: { digest, name },
    envelopeDigest: made.digest,
    keyId: signer.keyId,
    predicateType,
    logIndex,
    envelope: JSON.parse(made.bytes.toString('utf8')) as unknown,
  };
}

function changed(digest: string): EngineError {
  return new EngineError(
    'ENGINE_ARTIFACT_CHANGED',
    `the artifact is now ${digest}, not what the statement was made from`,
    {
      exit: exitStatus.verificationFailed,
      hint: 'Let nothing write to it, and record it again.',
    },
  );
}

/** Signs statements, whose entries share a few writes; what runs is judged anew once. */
export async function recordStatements(
  context: EngineContext,
  key: string,
  statements: readonly StatementRequest[],
): Promise<readonly RecordedStatement[]> {
  const signer = context.keyring.openSigner(key);
  const issuer = issuerOf(context.home);
  const made = statements.map(({ name, digest, alsoAbout = [], predicateType, predicate }) => {
    const subjects = [{ name, digest }, ...alsoAbout].map((about) => ({ ...about, digest: parseDigest(about.digest) }));
    const about = [...new Set(subjects.map((subject) => subject.digest))];
    return { ...attest({ subjects, predicateType, predicate, signer, issuer }), subjects: about };
  });
  using room = new DisposableStack();
  for (const one of made) room.use(context.attestations.reserve(one.digest, one.subjects));
  await Promise.all(made.map(({ bytes }) => context.content.put(bytes)));
  // In their order: a commit's entry follows those of its parents.
  const indexes = await Promise.all(made.map(({ leaf }) => context.journal.append(leaf, { flush: true })));
  for (const [at, { bytes }] of made.entries()) context.attestations.put(bytes, indexes[at] ?? 0);
  await reassessAll(context);
  return statements.map(({ digest }, at) => ({
    digest,
    envelopeDigest: made[at]?.digest ?? '',
    logIndex: indexes[at] ?? 0,
  }));
}
