// Policies by digest: the home's, those that came with a request, and those that past decisions were made under.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { type ContentStore, parseDigest } from '../artifact/index.ts';
import { parsePolicy, type Policy } from '../policy/index.ts';

const DEFAULT_POLICY = fileURLToPath(new URL('../../policies/default.yaml', import.meta.url));
/** Policies differ seldom; those beyond this many are parsed again when needed. */
const PARSED_MAX = 256;

/** A policy with the text that it was read from. */
export interface PolicyFile {
  readonly policy: Policy;
  readonly text: string;
}

/** Reads the home's own policy, or the default one when it has none. */
export function readHomePolicy(policyFile: string): PolicyFile {
  const source = existsSync(policyFile) ? policyFile : DEFAULT_POLICY;
  const text = readFileSync(source, 'utf8');
  return { policy: parsePolicy(text, source), text };
}

export class Policies {
  readonly home: PolicyFile;
  readonly #content: ContentStore;
  readonly #parsed = new Map<string, Policy>();

  constructor(home: PolicyFile, content: ContentStore) {
    this.home = home;
    this.#content = content;
    this.#remember(home.policy);
  }

  /** A policy that came with a request. */
  parse(text: string, source: string): Policy {
    return this.#remember(parsePolicy(text, source));
  }

  /** Keeps what a policy says in the content store, under its digest, where replays find it. */
  async keep(policy: Policy): Promise<void> {
    await this.#content.put(Buffer.from(policy.canonical));
  }

  /** The policy of a digest that was kept. */
  async load(digest: string): Promise<Policy> {
    const parsed = this.#parsed.get(digest);
    if (parsed !== undefined) return parsed;
    const bytes = await this.#content.get(parseDigest(digest));
    return this.#remember(parsePolicy(bytes.toString('utf8'), digest));
  }

  #remember(policy: Policy): Policy {
    const known = this.#parsed.get(policy.digest);
    if (known !== undefined) return known;
    const oldest = this.#parsed.keys().next().value;
    if (this.#parsed.size >= PARSED_MAX && oldest !== undefined) this.#parsed.delete(oldest);
    this.#parsed.set(policy.digest, policy);
    return policy;
  }
}
