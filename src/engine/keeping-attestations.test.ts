import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { type Digest, digestOf, hexOf, openContentStore } from '../artifact/index.ts';
import { openJournal } from '../ledger/index.ts';
import {
  attest,
  DEPLOY_TYPE,
  openAttestationStore,
  openKeyring,
  RELEASE_TYPE,
  type Signer,
} from '../provenance/index.ts';
import { openHome } from './home.ts';
import { keepLogged, logAttestation, type Loggable, markKept } from './keeping-attestations.ts';

/** As many as are kept of one artifact. */
const ATTESTATIONS_MAX = 128;

const app = digestOf('app');
let context: Parameters<typeof keepLogged>[0];
let signer: Signer;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), 'provost-keep-'));
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  const home = openHome(dir);
  const keyring = openKeyring(home.keysDir, 'home:test');
  keyring.commit(keyring.generateKey({ name: 'alice', nowMs: 0 }), 0);
  signer = keyring.openSigner('alice');
  context = {
    home,
    log: pino({ level: 'silent' }),
    journal: stack.use(await openJournal(home.logDir, `provost/home/${home.id}`)),
    content: stack.use(await openContentStore(home.contentDir)),
    attestations: openAttestationStore(home.attestationsDir),
  };
});

afterEach(() => stack.disposeAsync());

function attestation(note: string, type: string = RELEASE_TYPE, subject: Digest = app): Loggable {
  const subjects = [{ name: 'app', digest: subject }];
  const made = attest({ subjects, predicateType: type, predicate: { note }, signer, issuer: 'home:test' });
  return { ...made, subjects: [subject] };
}

/** What a crash leaves that comes after the entry. */
async function logAlone({ bytes, leaf }: Loggable): Promise<number> {
  await context.content.put(bytes);
  return context.journal.append(leaf, { flush: true });
}

const indexOf = ({ digest, subjects }: Loggable): number | null => context.attestations.indexOf(digest, subjects);

/** All but one of the places of an artifact are taken. */
function fill(): void {
  for (let n = 1; n < ATTESTATIONS_MAX; n += 1) context.attestations.put(attestation(`${n}`).bytes, n);
}

it('keeps at the next start what a crash kept from its place, under its first entry', async () => {
  const [kept, lost, deployed] = [attestation('a'), attestation('b'), attestation('c', DEPLOY_TYPE)];
  await logAttestation(context, kept);
  expect(await logAlone(lost)).toBe(1);
  await logAlone(deployed);
  await context.journal.append(Buffer.from('no leaf'), { flush: true });
  expect(indexOf(lost)).toBeNull();
  await keepLogged(context);
  expect([indexOf(kept), indexOf(lost), indexOf(deployed)]).toEqual([0, 1, null]);
});

it('starts where it cannot say how far it looked', async () => {
  mkdirSync(join(context.home.attestationsDir, 'kept.new'), { recursive: true });
  const lost = attestation('a');
  await logAlone(lost);
  await keepLogged(context);
  expect(indexOf(lost)).toBe(0);
});

it('leaves away what was removed before the last start or end', async () => {
  const removed = attestation('a');
  await logAttestation(context, removed);
  markKept(context);
  rmSync(join(context.home.attestationsDir, hexOf(app)), { recursive: true });
  const lost = attestation('b');
  await logAlone(lost);
  await keepLogged(context);
  expect([indexOf(removed), indexOf(lost)]).toEqual([null, 1]);
  // Whatever is in the file: no more than the newest are looked at.
  writeFileSync(join(context.home.attestationsDir, 'kept'), 'x');
  await keepLogged(context);
  expect(indexOf(removed)).toBe(0);
});

it('starts where one cannot be kept: its artifact has too many, or its bytes are gone', async () => {
  fill();
  const [first, second] = [attestation('first'), attestation('second')];
  await logAlone(first);
  await logAlone(second);
  await context.journal.append(attestation('gone', RELEASE_TYPE, digestOf('other')).leaf, { flush: true });
  await keepLogged(context);
  expect(readdirSync(join(context.home.attestationsDir, hexOf(app)))).toHaveLength(ATTESTATIONS_MAX);
  expect(indexOf(first)).toBe(0);
});

it('logs none for which there is no room, also where two come at once', async () => {
  fill();
  const both = [attestation('first'), attestation('second')] as const;
  const settled = await Promise.allSettled(both.map((one) => logAttestation(context, one)));
  expect(settled).toMatchObject([
    { status: 'fulfilled', value: 0 },
    { status: 'rejected', reason: { code: 'PROVENANCE_ATTESTATIONS_FULL' } },
  ]);
  expect(context.journal.size).toBe(1);
  await expect(logAttestation(context, both[1])).rejects.toMatchObject({ code: 'PROVENANCE_ATTESTATIONS_FULL' });
  expect(await logAttestation(context, attestation('elsewhere', RELEASE_TYPE, digestOf('other')))).toBe(1);
});

it('gives one that could not be kept its entry when it comes again', async () => {
  const one = attestation('a');
  const unkept = new Map<Digest, number>();
  mkdirSync(context.home.attestationsDir, { recursive: true });
  const inTheWay = join(context.home.attestationsDir, hexOf(app));
  writeFileSync(inTheWay, 'no folder');
  await expect(logAttestation(context, one, unkept)).rejects.toThrow();
  rmSync(inTheWay);
  expect([await logAttestation(context, one, unkept), context.journal.size, unkept.size]).toEqual([0, 1, 0]);
});
