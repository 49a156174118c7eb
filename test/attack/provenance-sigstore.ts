// The target of the attack corpus about Sigstore: a bundle, a trusted root and a policy, each of which may be changed.
import { z } from 'zod';

import { digestOf } from '../../src/artifact/index.ts';
import { loadSigstore } from '../../src/provenance/index.ts';
import { STATEMENT_MEDIA_TYPE } from '../../src/provenance/statement.ts';
import { IDENTITY, SigstoreInstance, type SigstoreSigning } from '../sigstore-fixture.ts';
import { artifact, statement, values } from './provenance-envelope.ts';
import { mutateBytes, mutationSchema } from './provenance-mutation.ts';
import { type Outcome, outcomeOf, type Target } from './provenance-outcome.ts';

const sigstoreSetup = z.strictObject({
  kind: z.enum(['attestation', 'signature']).optional(),
  signing: z
    .strictObject({
      issuer: z.string().optional(),
      subject: z.string().optional(),
      inclusion: z.enum(['promise', 'proof', 'both']).optional(),
      mediaType: z.string().optional(),
      isTimestamped: z.boolean().optional(),
      isUnlogged: z.boolean().optional(),
    })
    .optional(),
  /** Names are written with the high bit of each `t` set, which a reader of 7 bits does not see. */
  isSpelledHigh: z.enum(['issuer', 'subject']).optional(),
  payloadType: z.string().optional(),
  statement: mutationSchema.optional(),
  change: mutationSchema.optional(),
  root: mutationSchema.optional(),
  /** Signed by another instance than the root's. */
  isForeign: z.boolean().optional(),
  /** Part of another bundle over the same, put in this one's place. */
  swap: z.enum(['certificate', 'log', 'signature', 'payload']).optional(),
  identities: z.array(z.strictObject({ issuer: z.string(), subjectPattern: z.string() })).optional(),
  /** What the verifier is told of the artifact. */
  artifact: z.enum(['bytes', 'digest', 'other bytes', 'other digest']).optional(),
});
type SigstoreSetup = z.infer<typeof sigstoreSetup>;

const { parseSigstoreBundle, verifySigstoreBundle } = await loadSigstore();
const ours = new SigstoreInstance();
const theirs = new SigstoreInstance();
const bytes = Buffer.from('the artifact');

function trySigstore(setup: unknown): Outcome {
  const wanted = sigstoreSetup.parse(setup);
  const bundle = swapped(bundleOf(wanted), wanted);
  const raw = mutateBytes(bundle, wanted.change ?? {}, { values });
  const trustedRoot = mutateBytes(ours.root(), wanted.root ?? {}, { values });
  const identities = wanted.identities ?? [{ issuer: IDENTITY.issuer, subjectPattern: IDENTITY.subject }];
  const known = {
    bytes,
    digest: artifact.digest,
    'other bytes': Buffer.from('another artifact'),
    'other digest': digestOf('another artifact'),
  }[wanted.artifact ?? 'bytes'];
  return outcomeOf(() =>
    verifySigstoreBundle(parseSigstoreBundle(raw), { trustedRoot, policy: { identities }, artifact: known }),
  );
}

function bundleOf(wanted: SigstoreSetup): Record<string, Record<string, unknown>> {
  const instance = wanted.isForeign === true ? theirs : ours;
  const high = wanted.isSpelledHigh;
  const signing = {
    ...wanted.signing,
    ...(high === undefined ? {} : { [high]: Buffer.from(Buffer.from(IDENTITY[high]).map(withHighBit)) }),
  } as SigstoreSigning;
  if (wanted.kind === 'signature') return instance.sign(bytes, signing);
  const payload = mutateBytes(statement, wanted.statement ?? {}, { values });
  return instance.attest(payload, wanted.payloadType ?? STATEMENT_MEDIA_TYPE, signing);
}

function withHighBit(byte: number): number {
  return byte === 0x74 ? byte | 0x80 : byte;
}

function swapped(bundle: Record<string, Record<string, unknown>>, wanted: SigstoreSetup): unknown {
  const { verificationMaterial: material, dsseEnvelope: envelope } = bundle;
  const other = bundleOf({ ...wanted, statement: { set: { '/predicate/by': 'another' } } });
  const { verificationMaterial: otherMaterial = {}, dsseEnvelope: otherEnvelope = {} } = other;
  switch (wanted.swap) {
    case 'certificate':
      return { ...bundle, verificationMaterial: { ...material, certificate: otherMaterial['certificate'] } };
    case 'log':
      return { ...bundle, verificationMaterial: { ...material, tlogEntries: otherMaterial['tlogEntries'] } };
    case 'signature':
      return { ...bundle, dsseEnvelope: { ...envelope, signatures: otherEnvelope['signatures'] } };
    case 'payload':
      return { ...bundle, dsseEnvelope: { ...envelope, payload: otherEnvelope['payload'] } };
    default:
      return bundle;
  }
}

/** The target about Sigstore. */
export const sigstoreTargets: Readonly<Record<string, Target>> = { sigstore: trySigstore };
