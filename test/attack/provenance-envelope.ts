// Envelopes of the attack corpus: who signs what over which type, in which form.
import { z } from 'zod';

import { digestOf, hexOf } from '../../src/artifact/index.ts';
import { type EnvelopeSignature, encodeEnvelope, preAuthEncoding } from '../../src/provenance/dsse.ts';
import { makeKeyPair, type PublicKey, publicKeyOfRaw, type Signer, signerOf } from '../../src/provenance/ed25519.ts';
import { RELEASE_TYPE, STATEMENT_MEDIA_TYPE, STATEMENT_TYPE } from '../../src/provenance/statement.ts';
import { mutateBytes, mutationSchema, type Values } from './provenance-mutation.ts';

/** The order of the group. @source RFC 8032, section 5.1 */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

/** What may be changed about an envelope. */
export const envelopeSetup = z.strictObject({
  signers: z.array(z.string()).optional(),
  /** Names, other texts, or null for none; those of the signers unless said. */
  keyIds: z.array(z.string().nullable()).optional(),
  payloadType: z.string().optional(),
  /** The type and the payload that are signed, when they are not those of the envelope. */
  signedType: z.string().optional(),
  signedPayload: z.string().optional(),
  form: z
    .enum(['plus-order', 'zero', 'identity', 'empty', 'short', 'long', 'swapped', 'bit', 'sign-bit', 'untyped'])
    .optional(),
  statement: mutationSchema.optional(),
});
export type EnvelopeSetup = z.infer<typeof envelopeSetup>;

/** The artifact of all cases. */
export const artifact = { name: 'shop/web:1.2', digest: digestOf('the artifact') };
export const otherDigest = digestOf('another artifact');

interface Named {
  readonly publicKey: PublicKey;
  readonly signer: Signer | null;
}

function named(): Named {
  const { publicKey, privatePem } = makeKeyPair();
  return { publicKey, signer: signerOf(privatePem) };
}

/** The neutral element: a key under which a lax verifier takes R = itself, S = 0 for a signature of anything. */
const identity = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]);

const people: ReadonlyMap<string, Named> = new Map([
  ['alice', named()],
  ['bob', named()],
  ['mallory', named()],
  ['identity', { publicKey: publicKeyOfRaw(identity), signer: null }],
  ['zero', { publicKey: publicKeyOfRaw(Buffer.alloc(32)), signer: null }],
]);

/** The public key of one of the corpus's people. */
export function publicKeyOf(name: string): PublicKey {
  const found = people.get(name);
  if (found === undefined) throw new Error(`nobody is called ${name}`);
  return found.publicKey;
}

/** What `{{name}}` stands for in every case. */
export const values: Values = {
  artifact: hexOf(artifact.digest),
  ARTIFACT: hexOf(artifact.digest).toUpperCase(),
  other: hexOf(otherDigest),
  alice: publicKeyOf('alice').id,
  bob: publicKeyOf('bob').id,
};

/** The statement that is attested unless a case changes it. */
export const statement = {
  _type: STATEMENT_TYPE,
  subject: [{ name: artifact.name, digest: { sha256: hexOf(artifact.digest) } }],
  predicateType: RELEASE_TYPE,
  predicate: { by: 'alice' },
};

/** The envelope's bytes. */
export function envelopeOf(setup: EnvelopeSetup): Buffer {
  const { signers = ['alice'], payloadType = STATEMENT_MEDIA_TYPE } = setup;
  const payload = mutateBytes(statement, setup.statement ?? {}, { values });
  const signed = setup.signedPayload === undefined ? payload : Buffer.from(setup.signedPayload);
  const message = setup.form === 'untyped' ? signed : preAuthEncoding(setup.signedType ?? payloadType, signed);
  const signatures = signers.map((name, at): EnvelopeSignature => {
    const keyId = setup.keyIds === undefined ? name : (setup.keyIds[at] ?? null);
    const made = people.get(name)?.signer?.sign(message) ?? Buffer.alloc(64);
    return {
      keyId: keyId === null ? null : (people.get(keyId)?.publicKey.id ?? keyId),
      signature: formOf(made, setup),
    };
  });
  return encodeEnvelope({ payloadType, payload, signatures });
}

function formOf(signature: Buffer, { form }: EnvelopeSetup): Buffer {
  const [r, s] = [signature.subarray(0, 32), signature.subarray(32)];
  switch (form) {
    case 'plus-order': {
      const sum = BigInt(`0x${Buffer.from(s).reverse().toString('hex')}`) + ORDER;
      return Buffer.concat([r, Buffer.from(sum.toString(16).padStart(64, '0'), 'hex').reverse()]);
    }
    case 'zero':
      return Buffer.alloc(64);
    case 'identity':
      return Buffer.concat([identity, Buffer.alloc(32)]);
    case 'empty':
      return Buffer.alloc(0);
    case 'short':
      return signature.subarray(0, 63);
    case 'long':
      return Buffer.concat([signature, Buffer.alloc(1)]);
    case 'swapped':
      return Buffer.concat([s, r]);
    case 'bit':
      return flipped(signature, 40, 1);
    case 'sign-bit':
      return flipped(signature, 31, 0x80);
    default:
      return signature;
  }
}

function flipped(signature: Buffer, at: number, bits: number): Buffer {
  const copy = Buffer.from(signature);
  copy[at] = (copy[at] ?? 0) ^ bits;
  return copy;
}
