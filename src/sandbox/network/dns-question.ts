// The question in a DNS query, as a packet on the wire holds it. Attacker-controlled: read strictly, within bounds, never beyond the first name.

export const DNS_PORT = 53;

const IP = { bytesMin: 20, protocolAt: 9, fragmentAt: 6, offsetMask: 0x1fff } as const;
const UDP = 17;
const UDP_BYTES = 8;
const DNS_HEADER_BYTES = 12;
/** Response bit and operation code: a query has neither. */
const NO_QUERY = 0xf800;
const LABEL_BYTES_MAX = 63;
/** Of a name, with the length of each label and the closing zero byte (RFC 1035, section 2.3.4). */
const NAME_BYTES_MAX = 255;
/** Of type and class, after the name. */
const QUESTION_TAIL_BYTES = 4;
/** What is kept of a name whose bytes had to be written as `\ddd`. */
const NAME_CHARACTERS_MAX = 256;
/** Letters, digits, hyphen and underscore: all that names of hosts and services are made of. */
const PLAIN_BYTE = /[a-z0-9_-]/;

/**
 * The name that an IPv4 packet asks the DNS for, in lower case and without the closing dot; `.` for the root. Null for anything that is
 * not a well-formed query over UDP: a fragment, an answer, a name that is cut off, too long, or that leads elsewhere by a pointer (in a
 * query there is nothing before the name that it could lead to, so that nothing can go round in circles).
 *
 * @returns at most 256 characters of `a-z 0-9 _ - .` and `\ddd` for every other byte
 * @source RFC 1035, sections 4.1.1, 4.1.2 and 5.1
 */
export function parseQuestionName(packet: Buffer): string | null {
  const message = udpPayload(packet);
  if (message === null || message.length < DNS_HEADER_BYTES) return null;
  if ((message.readUInt16BE(2) & NO_QUERY) !== 0 || message.readUInt16BE(4) === 0) return null;
  return readName(message.subarray(DNS_HEADER_BYTES));
}

function udpPayload(packet: Buffer): Buffer | null {
  if (packet.length < IP.bytesMin || (packet[0] ?? 0) >> 4 !== 4) return null;
  const headerBytes = ((packet[0] ?? 0) & 0xf) * 4;
  if (headerBytes < IP.bytesMin || packet[IP.protocolAt] !== UDP) return null;
  if ((packet.readUInt16BE(IP.fragmentAt) & IP.offsetMask) !== 0) return null;
  return packet.length < headerBytes + UDP_BYTES ? null : packet.subarray(headerBytes + UDP_BYTES);
}

function readName(bytes: Buffer): string | null {
  const labels: string[] = [];
  for (let at = 0; at < NAME_BYTES_MAX;) {
    const length = bytes[at];
    if (length === undefined || length > LABEL_BYTES_MAX) return null;
    if (length === 0) {
      const isWhole = at + 1 + QUESTION_TAIL_BYTES <= bytes.length;
      return isWhole ? (labels.join('.') || '.').slice(0, NAME_CHARACTERS_MAX) : null;
    }
    const label = bytes.subarray(at + 1, at + 1 + length);
    if (label.length < length) return null;
    labels.push(writtenLabel(label));
    at += 1 + length;
  }
  return null;
}

/** A dot within a label is written as a number too: only those between labels are dots. */
function writtenLabel(label: Buffer): string {
  let text = '';
  for (const byte of label) {
    const letter = String.fromCharCode(byte).toLowerCase();
    text += PLAIN_BYTE.test(letter) ? letter : `\\${String(byte).padStart(3, '0')}`;
  }
  return text;
}
