// The names that workloads ask the DNS for: copies of their queries, which the kernel hands to whoever listens to the home's group.
import { createHash } from 'node:crypto';

import { linkPrefix } from './addresses.ts';
import { readAttributes, textOf, writeAttributes } from './attributes.ts';
import { parseQuestionName } from './dns-question.ts';
import { netlinkFamily, NetlinkRefusal, type NetlinkSocket, openNetlink } from './netlink.ts';

// linux/netfilter/nfnetlink.h and nfnetlink_log.h
const ULOG = 4 << 8;
const MESSAGE = { packet: ULOG, configure: ULOG | 1 } as const;
const CONFIGURE = { command: 1, mode: 2 } as const;
const COMMAND_BIND = 1;
const COPY_PACKET = 2;
const PACKET = { inLink: 4, payload: 9, prefix: 10 } as const;
const HEADER_BYTES = 4;
const COPY_BYTES_MAX = 512;
/** Groups below are for people's own rules. */
const GROUP_FIRST = 1024;
const GROUPS = 65_536 - GROUP_FIRST;
/** Queries taken at one reading; what is left waits for the next. */
const TAKEN_MAX = 4096;
/** Who has the group may give it back: asked for again after this. */
const RETRY_MS = 5000;

/** The number under which the kernel hands out the queries of a home. Two homes that share one do not see each other's: see the prefix. */
export function questionGroup(homeId: string): number {
  return GROUP_FIRST + (createHash('sha256').update(homeId).digest().readUInt32BE(0) % GROUPS);
}

/** What the kernel writes before each query of a home. */
export function questionPrefix(homeId: string): string {
  return linkPrefix(homeId);
}

/** Listens to the group of one home. */
export class QuestionLog implements Disposable {
  readonly #homeId: string;
  #socket: NetlinkSocket | null = null;
  #triedMs = Number.NEGATIVE_INFINITY;

  constructor(homeId: string) {
    this.#homeId = homeId;
    this.#listen();
  }

  /** Calls `visit` for each query that came since the last call and can be read, with the index of the link that it came in by. */
  take(visit: (link: number, name: string) => void): void {
    this.#listen();
    const prefix = questionPrefix(this.#homeId);
    this.#socket?.takeWaiting(MESSAGE.packet, TAKEN_MAX, (body) => {
      const parts = readAttributes(body.subarray(HEADER_BYTES));
      const [link, packet] = [parts.get(PACKET.inLink), parts.get(PACKET.payload)];
      if (link?.length !== 4 || packet === undefined || textOf(parts.get(PACKET.prefix)) !== prefix) return;
      const name = parseQuestionName(packet);
      if (name !== null) visit(link.readUInt32BE(0), name);
    });
  }

  [Symbol.dispose](): void {
    this.#socket?.[Symbol.dispose]();
    this.#socket = null;
    this.#triedMs = Number.POSITIVE_INFINITY;
  }

  /** Another process may have the group, or the kernel no such log: then questions are counted and their names are not read. */
  #listen(): void {
    if (this.#socket !== null || performance.now() - this.#triedMs < RETRY_MS) return;
    this.#triedMs = performance.now();
    const socket = openNetlink(netlinkFamily.netfilter);
    try {
      socket.request([{ type: MESSAGE.configure, body: bindBody(questionGroup(this.#homeId)) }]);
      this.#socket = socket;
    } catch (error) {
      socket[Symbol.dispose]();
      if (!(error instanceof NetlinkRefusal)) throw error;
    }
  }
}

function bindBody(group: number): Buffer {
  const mode = Buffer.alloc(6);
  mode.writeUInt32BE(COPY_BYTES_MAX);
  mode[4] = COPY_PACKET;
  const header = Buffer.from([0, 0, group >> 8, group & 0xff]);
  const parts = writeAttributes([
    [CONFIGURE.command, Buffer.from([COMMAND_BIND])],
    [CONFIGURE.mode, mode],
  ]);
  return Buffer.concat([header, parts]);
}
