// A netlink socket spoken to in-process: a request costs microseconds where `ip` or `nft` cost a process.
import { constants } from 'node:os';

import koffi from 'koffi';

import { exitStatus } from '../../base/index.ts';
import { SandboxError } from '../driver.ts';
import { eachAttribute, textOf } from './attributes.ts';

/** One request: its type, its flags beyond REQUEST and ACK, and what follows the header. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags?: number;
  readonly body: Buffer;
  /** False for the messages that open and close a batch of nf_tables. */
  readonly acknowledged?: boolean;
}

/** Families of netlink sockets (linux/netlink.h). */
export const netlinkFamily = { route: 0, netfilter: 12 } as const;

/** Request flags (linux/netlink.h). */
export const requestFlags = {
  echo: 0x8,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
  dump: 0x300,
} as const;

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SO_RCVTIMEO = 20;
const SOL_NETLINK = 270;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;

const REQUEST = 0x1;
const ACK = 0x4;
const ACK_TLVS = 0x200;
const TYPE_ERROR = 2;
const TYPE_DONE = 3;
const HEADER_BYTES = 16;
const MSG_DONTWAIT = 0x40;
const ERRNO_BYTES = 4;
const ERROR_BYTES = HEADER_BYTES + ERRNO_BYTES;
const EXT_ACK_MESSAGE = 1;

/** The kernel answers within the send; this only ends a wait that a lost answer would make endless. */
const RECEIVE_TIMEOUT_SECONDS = 5;
/** Dumps come in datagrams of at most 32 KiB (NLMSG_GOODSIZE and its growth); acks are tiny. */
const RECEIVE_BYTES = 256 * 1024;
/** Room for the acks of a batch of several hundred messages. */
const SOCKET_BUFFER_BYTES = 4 * 1024 * 1024;

const libc = koffi.load('libc.so.6');
const call = {
  socket: libc.func('int socket(int, int, int)'),
  setsockopt: libc.func('int setsockopt(int, int, int, const uint8_t *, uint32_t)'),
  send: libc.func('int64_t send(int, const uint8_t *, size_t, int)'),
  recv: libc.func('int64_t recv(int, uint8_t *, size_t, int)'),
  close: libc.func('int close(int)'),
} as const;

/** What the kernel answered to one request that it refused. */
export class NetlinkRefusal extends Error {
  override readonly name = 'NetlinkRefusal';
  /** Positive: `os.constants.errno`. */
  readonly errno: number;
  /** Which message of the request, from 0. */
  readonly index: number;

  constructor(errno: number, index: number, explanation: string) {
    super(`errno ${errno}${explanation === '' ? '' : ` (${explanation})`}`);
    this.errno = errno;
    this.index = index;
  }
}

/**
 * Opens a netlink socket in the network namespace of the calling thread; it stays bound to that namespace.
 *
 * @throws SandboxError SANDBOX_NETWORK
 */
export function openNetlink(family: number): NetlinkSocket {
  const descriptor = call.socket(AF_NETLINK, SOCK_RAW_CLOEXEC, family) as number;
  if (descriptor < 0) throw refusedCall('socket');
  const one = Buffer.from([1, 0, 0, 0]);
  const timeout = Buffer.alloc(16);
  timeout.writeBigInt64LE(BigInt(RECEIVE_TIMEOUT_SECONDS));
  const room = Buffer.alloc(4);
  room.writeInt32LE(SOCKET_BUFFER_BYTES);
  call.setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, timeout, timeout.length);
  call.setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, room, room.length);
  // Only explanations hang on these two: an older kernel without them still answers with an errno.
  call.setsockopt(descriptor, SOL_NETLINK, NETLINK_CAP_ACK, one, one.length);
  call.setsockopt(descriptor, SOL_NETLINK, NETLINK_EXT_ACK, one, one.length);
  return new NetlinkSocket(descriptor);
}

/** One socket; its methods are synchronous, so that requests cannot interleave. */
export class NetlinkSocket implements Disposable {
  readonly #descriptor: number;
  readonly #buffer = Buffer.allocUnsafe(RECEIVE_BYTES);
  #sequence = 0;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /**
   * Sends the messages in one datagram and waits until each is acknowledged.
   *
   * @throws NetlinkRefusal for the first message that the kernel refused
   * @throws SandboxError SANDBOX_NETWORK when the socket itself fails
   */
  request(messages: readonly NetlinkMessage[]): void {
    this.#awaitAcks(messages, this.#send(messages, ACK));
  }

  /**
   * As {@link request}, for what the kernel does slowly (removing a link waits for every CPU): the wait is off the main
   * thread. The socket serves nothing else meanwhile.
   */
  async requestSlowly(messages: readonly NetlinkMessage[]): Promise<void> {
    const { first, datagram } = this.#compose(messages, ACK);
    const sent = await new Promise<number>((resolve, reject) => {
      call.send.async(this.#descriptor, datagram, datagram.length, 0, (error: Error | null, count: number | bigint) => {
        if (error === null) resolve(Number(count));
        else reject(error);
      });
    });
    if (sent !== datagram.length) throw refusedCall('send');
    this.#awaitAcks(messages, first);
  }

  #awaitAcks(messages: readonly NetlinkMessage[], first: number): void {
    let awaited = messages.filter(({ acknowledged }) => acknowledged !== false).length;
    while (awaited > 0) {
      for (const { type, body, sequence, flags } of this.#receive()) {
        if (type !== TYPE_ERROR || sequence < first) continue;
        awaited--;
        const refusal = refusalOf(body, sequence - first, flags);
        if (refusal !== null) throw refusal;
      }
    }
  }

  /**
   * Asks for a list and gives the body of each entry, valid only during the call.
   *
   * @throws NetlinkRefusal
   */
  dump(message: NetlinkMessage, visit: (body: Buffer) => void): void {
    const first = this.#send([{ ...message, flags: (message.flags ?? 0) | requestFlags.dump }], 0);
    this.#collect(first, visit);
  }

  /** Asks for one thing, and gives its body. */
  get(message: NetlinkMessage): Buffer {
    const first = this.#send([message], ACK);
    let found: Buffer | null = null;
    this.#collect(first, (body) => (found = Buffer.from(body)));
    if (found === null) throw new NetlinkRefusal(2, 0, 'no answer');
    return found;
  }

  /**
   * Gives the body of each message of a type that the kernel sent unasked and that waits, at most so many datagrams; each is valid only
   * during the call. What the kernel had no room for is lost.
   */
  takeWaiting(type: number, datagramsMax: number, visit: (body: Buffer) => void): void {
    for (let taken = 0; taken < datagramsMax; taken++) {
      const received = Number(call.recv(this.#descriptor, this.#buffer, this.#buffer.length, MSG_DONTWAIT));
      const isLost = received < 0 && koffi.errno() === constants.errno.ENOBUFS;
      if (received < 0 && !isLost) return;
      if (!isLost) for (const frame of this.#framesIn(received)) if (frame.type === type) visit(frame.body);
    }
  }

  [Symbol.dispose](): void {
    call.close(this.#descriptor);
  }

  /** Until the kernel says that the list is complete, or that it refuses. */
  #collect(first: number, visit: (body: Buffer) => void): void {
    for (;;) {
      for (const { type, body, sequence, flags } of this.#receive()) {
        if (sequence !== first) continue;
        if (type !== TYPE_DONE && type !== TYPE_ERROR) {
          visit(body);
          continue;
        }
        const refusal = body.length < ERRNO_BYTES ? null : refusalOf(body, 0, type === TYPE_ERROR ? flags : 0);
        if (refusal !== null) throw refusal;
        return;
      }
    }
  }

  #compose(messages: readonly NetlinkMessage[], acknowledge: number): { first: number; datagram: Buffer } {
    this.#drain();
    const first = this.#sequence + 1;
    return { first, datagram: Buffer.concat(messages.map((message) => this.#frame(message, acknowledge))) };
  }

  #send(messages: readonly NetlinkMessage[], acknowledge: number): number {
    const { first, datagram } = this.#compose(messages, acknowledge);
    if (Number(call.send(this.#descriptor, datagram, datagram.length, 0)) !== datagram.length)
      throw refusedCall('send');
    return first;
  }

  #frame({ type, flags = 0, body, acknowledged = true }: NetlinkMessage, acknowledge: number): Buffer {
    const out = Buffer.alloc(HEADER_BYTES + ((body.length + 3) & ~3));
    this.#sequence = (this.#sequence + 1) >>> 0;
    out.writeUInt32LE(HEADER_BYTES + body.length, 0);
    out.writeUInt16LE(type, 4);
    out.writeUInt16LE(flags | REQUEST | (acknowledged ? acknowledge : 0), 6);
    out.writeUInt32LE(this.#sequence, 8);
    body.copy(out, HEADER_BYTES);
    return out;
  }

  /** Answers to a request that was given up after its first refusal must not be taken for those of the next. */
  #drain(): void {
    while (Number(call.recv(this.#descriptor, this.#buffer, this.#buffer.length, MSG_DONTWAIT)) > 0);
  }

  /** The messages of the next datagram; their bodies are valid until the next one is received. */
  #receive(): readonly Frame[] {
    const received = Number(call.recv(this.#descriptor, this.#buffer, this.#buffer.length, 0));
    if (received < 0) throw refusedCall('recv');
    return this.#framesIn(received);
  }

  #framesIn(received: number): readonly Frame[] {
    const frames: Frame[] = [];
    for (let at = 0; at + HEADER_BYTES <= received;) {
      const length = this.#buffer.readUInt32LE(at);
      if (length < HEADER_BYTES || at + length > received) break;
      frames.push({
        type: this.#buffer.readUInt16LE(at + 4),
        flags: this.#buffer.readUInt16LE(at + 6),
        sequence: this.#buffer.readUInt32LE(at + 8),
        body: this.#buffer.subarray(at + HEADER_BYTES, at + length),
      });
      at += (length + 3) & ~3;
    }
    return frames;
  }
}

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

function refusalOf(body: Buffer, index: number, flags: number): NetlinkRefusal | null {
  const errno = -body.readInt32LE(0);
  if (errno === 0) return null;
  let explanation = '';
  if ((flags & ACK_TLVS) !== 0) {
    eachAttribute(body.subarray(ERROR_BYTES), (type, value) => {
      if (type === EXT_ACK_MESSAGE) explanation = textOf(value);
    });
  }
  return new NetlinkRefusal(errno, index, explanation);
}

function refusedCall(name: string): SandboxError {
  return new SandboxError('SANDBOX_NETWORK', `netlink: ${name} failed with errno ${koffi.errno()}`, {
    exit: exitStatus.unavailable,
    hint: 'Run as root on a kernel with rtnetlink and nf_tables; `provost doctor` says what is missing.',
  });
}
