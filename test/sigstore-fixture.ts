// A Sigstore instance of the test's own: certificate authority, certificate log, transparency log and timestamp authority.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

import { preAuthEncoding } from '../src/provenance/dsse.ts';
import { context, der, derGeneralTime, derInteger, derOid, derTime } from './der-writer.ts';

const DAY_MS = 86_400_000;
/** When the instance begins, and when what is not said otherwise is signed. */
export const ROOT_START_MS = Date.UTC(2026, 0, 1);
export const SIGNED_MS = Date.UTC(2026, 0, 10);

/** Who signs, unless said otherwise. */
export const IDENTITY = { issuer: 'https://issuer.test', subject: 'https://forge.test/shop/web/build.yml@main' };

const SHA256 = '2.16.840.1.101.3.4.2.1';
const ECDSA_SHA256 = '1.2.840.10045.4.3.2';

/** What differs from one bundle to the next. */
export interface SigstoreSigning {
  readonly issuer?: string | Buffer;
  readonly subject?: string | Buffer;
  readonly signedMs?: number;
  readonly mediaType?: string;
  /** The log's promise, its inclusion proof, or both. */
  readonly inclusion?: 'promise' | 'proof' | 'both';
  readonly isTimestamped?: boolean;
  /** Leaves out the certificate log's promise. */
  readonly isUnlogged?: boolean;
  /** A key and what is said to be its signature, instead of a fresh key and its own. */
  readonly given?: { readonly spki: Buffer; readonly signature: Buffer };
}

/** JSON that a test may change. */
// oxlint-disable-next-line typescript/no-explicit-any
export type Loose = any;

interface Party {
  readonly privateKey: KeyObject;
  readonly spki: Buffer;
  readonly id: Buffer;
}

const b64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const sha256 = (...parts: readonly Uint8Array[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest();
const u = (bytes: number, value: number): Buffer => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
};

function newParty(): Party {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return { privateKey, spki, id: sha256(spki) };
}

const signed = (party: Party, bytes: Uint8Array): Buffer => sign('sha256', bytes, party.privateKey);
const nameOf = (text: string): Buffer =>
  der('sequence', der('set', der('sequence', derOid('2.5.4.3'), der('text', Buffer.from(text)))));
const extension = (oid: string, value: Buffer): Buffer => der('sequence', derOid(oid), der('octets', value));

interface CertificateParts {
  readonly of: Party;
  readonly by: Party;
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly serial: number;
  readonly fromMs: number;
  readonly toMs: number;
  readonly extensions: readonly Buffer[];
}

function bodyOf(parts: CertificateParts): Buffer {
  return der(
    'sequence',
    context(0, derInteger(2)),
    derInteger(parts.serial),
    der('sequence', derOid(ECDSA_SHA256)),
    parts.issuer,
    der('sequence', derTime(parts.fromMs), derTime(parts.toMs)),
    parts.subject,
    parts.of.spki,
    context(3, der('sequence', ...parts.extensions)),
  );
}

function certificateOf(parts: CertificateParts): Buffer {
  const body = bodyOf(parts);
  const signature = der('bitString', Buffer.from([0]), signed(parts.by, body));
  return der('sequence', body, der('sequence', derOid(ECDSA_SHA256)), signature);
}

const AUTHORITY = nameOf('authority');
const CLOCK = nameOf('clock');
const IS_CA = extension('2.5.29.19', der('sequence', der(0x01, Buffer.from([0xff]))));

/** One instance with fresh keys. */
export class SigstoreInstance {
  readonly #authority = newParty();
  readonly #certificateLog = newParty();
  readonly #log = newParty();
  readonly #clock = newParty();
  readonly #authorityCertificate: Buffer;
  readonly #clockCertificate: Buffer;

  constructor() {
    const years = { fromMs: ROOT_START_MS - DAY_MS, toMs: ROOT_START_MS + 3650 * DAY_MS, issuer: AUTHORITY };
    const by = { ...years, by: this.#authority };
    this.#authorityCertificate = certificateOf({
      ...by,
      of: this.#authority,
      subject: AUTHORITY,
      serial: 1,
      extensions: [IS_CA],
    });
    this.#clockCertificate = certificateOf({ ...by, of: this.#clock, subject: CLOCK, serial: 2, extensions: [] });
  }

  /** The trusted root, fresh at every call. */
  root(): Loose {
    const validFor = { start: new Date(ROOT_START_MS).toISOString() };
    const log = (party: Party, baseUrl: string) => ({
      baseUrl,
      hashAlgorithm: 'SHA2_256',
      publicKey: { rawBytes: b64(party.spki), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor: { ...validFor } },
      logId: { keyId: b64(party.id) },
    });
    const chain = (...certificates: readonly Buffer[]) => ({
      uri: 'https://authority.test',
      certChain: { certificates: certificates.map((each) => ({ rawBytes: b64(each) })) },
      validFor: { ...validFor },
    });
    return {
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
      tlogs: [log(this.#log, 'https://log.test')],
      ctlogs: [log(this.#certificateLog, 'https://certificates.test')],
      certificateAuthorities: [chain(this.#authorityCertificate)],
      timestampAuthorities: [chain(this.#clockCertificate, this.#authorityCertificate)],
    };
  }

  /** A bundle over a payload in an envelope. */
  attest(payload: Buffer, payloadType: string, signing: SigstoreSigning = {}): Loose {
    const signer = newParty();
    const signature = signed(signer, preAuthEncoding(payloadType, payload));
    const spec = {
      payloadHash: { algorithm: 'sha256', value: sha256(payload).toString('hex') },
      signatures: [{ signature: b64(signature) }],
    };
    return {
      ...this.#material(signer, { signature, kind: 'dsse', spec }, signing),
      dsseEnvelope: { payload: b64(payload), payloadType, signatures: [{ sig: b64(signature) }] },
    };
  }

  /** A bundle over an artifact's bytes. */
  sign(artifact: Buffer, signing: SigstoreSigning = {}): Loose {
    const fresh = newParty();
    const { spki, signature } = signing.given ?? { spki: fresh.spki, signature: signed(fresh, artifact) };
    const signer = { ...fresh, spki };
    const digest = sha256(artifact);
    const spec = {
      data: { hash: { algorithm: 'sha256', value: digest.toString('hex') } },
      signature: { content: b64(signature) },
    };
    return {
      ...this.#material(signer, { signature, kind: 'hashedrekord', spec }, signing),
      messageSignature: {
        messageDigest: { algorithm: 'SHA2_256', digest: b64(digest) },
        signature: b64(signature),
      },
    };
  }

  #material(signer: Party, entry: { signature: Buffer; kind: string; spec: object }, signing: SigstoreSigning): Loose {
    const { signedMs = SIGNED_MS, mediaType = 'application/vnd.dev.sigstore.bundle.v0.3+json' } = signing;
    const certificate = { rawBytes: b64(this.#leaf(signer, signing)) };
    const stamps =
      signing.isTimestamped === true ? [{ signedTimestamp: b64(this.#stamp(entry.signature, signedMs)) }] : [];
    return {
      mediaType,
      verificationMaterial: {
        ...(mediaType.includes('0.3') ? { certificate } : { x509CertificateChain: { certificates: [certificate] } }),
        tlogEntries: [this.#entry(entry, signing)],
        timestampVerificationData: { rfc3161Timestamps: stamps },
      },
    };
  }

  #leaf(signer: Party, signing: SigstoreSigning): Buffer {
    const { issuer = IDENTITY.issuer, subject = IDENTITY.subject, signedMs = SIGNED_MS } = signing;
    const extensions = [
      extension('2.5.29.17', der('sequence', der('name', Buffer.from(subject)))),
      extension('1.3.6.1.4.1.57264.1.8', der('text', Buffer.from(issuer))),
    ];
    const parts = {
      of: signer,
      by: this.#authority,
      subject: nameOf('signer'),
      issuer: AUTHORITY,
      serial: 3,
      fromMs: signedMs - 60_000,
      toMs: signedMs + 600_000,
    };
    if (signing.isUnlogged === true) return certificateOf({ ...parts, extensions });
    const promise = this.#certificatePromise(bodyOf({ ...parts, extensions }), signedMs);
    return certificateOf({ ...parts, extensions: [...extensions, promise] });
  }

  /** The certificate log's signed timestamp. RFC 6962, section 3.2. */
  #certificatePromise(body: Buffer, ms: number): Buffer {
    const entry = Buffer.concat([sha256(this.#authority.spki), u(3, body.length), body]);
    const message = Buffer.concat([u(1, 0), u(1, 0), u(8, ms), u(2, 1), entry, u(2, 0)]);
    const signature = signed(this.#certificateLog, message);
    const head = [u(1, 0), this.#certificateLog.id, u(8, ms), u(2, 0), Buffer.from([4, 3])];
    const promise = Buffer.concat([...head, u(2, signature.length), signature]);
    const list = Buffer.concat([u(2, promise.length + 2), u(2, promise.length), promise]);
    return extension('1.3.6.1.4.1.11129.2.4.2', der('octets', list));
  }

  #entry({ kind, spec }: { kind: string; spec: object }, signing: SigstoreSigning): Loose {
    const { inclusion = 'both', signedMs = SIGNED_MS } = signing;
    const body = Buffer.from(JSON.stringify({ apiVersion: '0.0.1', kind, spec }));
    const integratedTime = inclusion === 'proof' ? 0 : signedMs / 1000;
    const promised = { body: b64(body), integratedTime, logID: this.#log.id.toString('hex'), logIndex: 77 };
    const set = b64(signed(this.#log, Buffer.from(JSON.stringify(promised))));
    return {
      logIndex: '77',
      logId: { keyId: b64(this.#log.id) },
      kindVersion: { kind, version: '0.0.1' },
      integratedTime: String(integratedTime),
      ...(inclusion === 'proof' ? {} : { inclusionPromise: { signedEntryTimestamp: set } }),
      ...(inclusion === 'promise' ? {} : { inclusionProof: this.#proof(body) }),
      canonicalizedBody: b64(body),
    };
  }

  /** Of the only entry of a log of one. */
  #proof(body: Buffer): Loose {
    const rootHash = b64(sha256(Buffer.from([0]), body));
    const note = `log.test\n1\n${rootHash}\n`;
    const line = b64(Buffer.concat([this.#log.id.subarray(0, 4), signed(this.#log, Buffer.from(note))]));
    const envelope = `${note}\n\u2014 log.test ${line}\n`;
    return { logIndex: '0', rootHash, treeSize: '1', hashes: [], checkpoint: { envelope } };
  }

  /** A timestamp of a signature. RFC 3161, section 2.4.2. */
  #stamp(signature: Buffer, ms: number): Buffer {
    const info = der(
      'sequence',
      derInteger(1),
      derOid('1.3.6.1.4.1.57264.2'),
      der('sequence', der('sequence', derOid(SHA256)), der('octets', sha256(signature))),
      derInteger(5),
      derGeneralTime(ms),
    );
    const infoType = derOid('1.2.840.113549.1.9.16.1.4');
    const attributes = [
      der('sequence', derOid('1.2.840.113549.1.9.3'), der('set', infoType)),
      der('sequence', derOid('1.2.840.113549.1.9.4'), der('set', der('octets', sha256(info)))),
    ];
    const signerInfo = der(
      'sequence',
      derInteger(1),
      der('sequence', AUTHORITY, derInteger(2)),
      der('sequence', derOid(SHA256)),
      context(0, ...attributes),
      der('sequence', derOid(ECDSA_SHA256)),
      der('octets', signed(this.#clock, der('set', ...attributes))),
    );
    const content = der('sequence', infoType, context(0, der('octets', info)));
    const data = der('sequence', derInteger(3), der('set'), content, der('set', signerInfo));
    const token = der('sequence', derOid('1.2.840.113549.1.7.2'), context(0, data));
    return der('sequence', der('sequence', derInteger(0)), token);
  }
}
