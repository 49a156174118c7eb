// The wire format of SSH: lengths before bytes, read with limits and to the end.
import { exitStatus, KIB } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';

/** Longest field: an RSA key of 16,384 bits has 2 KiB. */
const FIELD_BYTES_MAX = 16 * KIB;

/** A walk over fields. Every method throws PROVENANCE_SSH where the bytes end too early. @source RFC 4251, section 5 */
export class SshReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  bytes(count: number): Buffer {
    const end = this.#at + count;
    if (count > FIELD_BYTES_MAX || end > this.#bytes.length) throw badSsh('it ends within a field');
    const field = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return field;
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  string(): Buffer {
    return this.bytes(this.uint32());
  }

  /** A name in ASCII; other bytes make it a name that nobody knows. */
  name(): string {
    return this.string().toString('latin1');
  }

  /** A number that is not negative, without leading zeros. */
  natural(): Buffer {
    const field = this.string();
    if ((field[0] ?? 0) >= 0x80) throw badSsh('it has a negative number');
    const start = field.findIndex((byte) => byte !== 0);
    return field.subarray(start < 0 ? field.length : start);
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw badSsh('bytes follow its end');
  }
}

/** A field with its length before it. */
export function sshString(bytes: Uint8Array | string): Buffer {
  const field = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(field.length);
  return Buffer.concat([length, field]);
}

/** Decodes standard base64 with all its padding; null for any other text. */
export function base64OrNull(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

/** An SSH key or signature that cannot be used. */
export function badSsh(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_SSH', `the SSH key or signature cannot be used: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Use Ed25519, ECDSA or RSA of at least 2048 bits: ssh-keygen -t ed25519 makes a key.',
    cause,
  });
}
