// How much is taken in at a time: requests, and the bytes of their bodies. What is more is told to come again.
import { exitStatus } from '../base/index.ts';
import { ServerError } from './server-error.ts';

/** Bounds of an intake. */
export interface IntakeLimits {
  readonly requestsMax: number;
  readonly bytesMax: number;
}

/** Counts what is under way. */
export class Intake {
  readonly #limits: IntakeLimits;
  #requests = 0;
  #bytes = 0;

  constructor(limits: IntakeLimits) {
    this.#limits = limits;
  }

  /**
   * Takes a request whose body has at most so many bytes, until it is let go.
   *
   * @throws ServerError SERVER_OVERLOADED
   */
  take(bytes: number): Disposable {
    const { requestsMax, bytesMax } = this.#limits;
    if (this.#requests >= requestsMax || this.#bytes + bytes > bytesMax) {
      throw new ServerError('SERVER_OVERLOADED', 'more is under way than can be taken at a time', {
        exit: exitStatus.unavailable,
        hint: 'Send it again in a second.',
      });
    }
    this.#requests += 1;
    this.#bytes += bytes;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#requests -= 1;
        this.#bytes -= bytes;
      },
    };
  }
}
