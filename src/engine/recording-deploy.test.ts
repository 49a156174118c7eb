import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';

import { digestOf, openContentStore } from '../artifact/index.ts';
import { systemClock } from '../base/index.ts';
import { openJournal, openJournalReader } from '../ledger/index.ts';
import {
  attest,
  openAttestationStore,
  openKeyring,
  parseEnvelope,
  parseLeaf,
  parseStatement,
  RELEASE_TYPE,
} from '../provenance/index.ts';
import { openHome } from './home.ts';
import { makeHostKey, recordDeploy, recordDeployOnce } from './recording-deploy.ts';
import { documentTypes } from './recording.ts';

type Context = Parameters<typeof recordDeploy>[0];
type Deployed = Parameters<typeof recordDeploy>[1];

const digest = digestOf('the artifact');
let context: Context;
let stack: AsyncDisposableStack;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  const dir = mkdtempSync(join(tmpdir(), 'provost-deploy-'));
  stack.defer(() => rmSync(dir, { recursive: true, force: true }));
  const home = openHome(dir);
  context = {
    home,
    clock: systemClock,
    log: pino({ level: 'silent' }),
    journal: stack.use(await openJournal(home.logDir, `provost/home/${home.id}`)),
    content: stack.use(await openContentStore(home.contentDir)),
    keyring: openKeyring(home.keysDir, `home:${home.id}`),
    attestations: openAttestationStore(home.attestationsDir),
  };
});

afterEach(() => stack.disposeAsync());

/** A workload as far as its deployment tells of it. */
function workload(name: string, instance = `${name}-1`): Deployed {
  const revision = {
    number: 1,
    requestDigest: digestOf('request'),
    artifact: { digest, name: 'app' },
    policy: { digest: digestOf('policy') },
  };
  return {
    name,
    revision,
    standing: { logIndex: 0, grant: { pids: 1 } },
    instance: { id: instance },
  } as unknown as Deployed;
}

function kept(): unknown[] {
  return context.attestations.list(digest).map(({ bytes }) => {
    const { predicate } = parseStatement(parseEnvelope(bytes).payload);
    return (predicate as { workload?: unknown }).workload ?? null;
  });
}

async function leaves(): Promise<(readonly [string, string, number])[]> {
  const found: (readonly [string, string, number])[] = [];
  for await (const { bytes } of openJournalReader(context.home.logDir).entries()) {
    const { kind, document, keys } = parseLeaf(bytes);
    found.push([kind, document.type, keys.length]);
  }
  return found;
}

it('makes the home’s key once, as an entry of the log', async () => {
  await makeHostKey(context);
  await makeHostKey(context);
  expect(context.keyring.state().keys.map(({ name }) => name)).toEqual(['host']);
  expect((await leaves()).map(([kind]) => kind)).toEqual(['key']);
});

it('keeps the newest deployment of each workload, of the eight newest; the log has all', async () => {
  await makeHostKey(context);
  const signer = context.keyring.openSigner('host');
  const other = attest({
    subjects: [{ digest, name: 'app' }],
    predicateType: RELEASE_TYPE,
    predicate: {},
    signer,
    issuer: 'x',
  });
  context.attestations.put(other.bytes, 0);
  for (const name of ['again', 'b', 'c', 'd', 'e', 'again', 'f', 'g', 'h', 'i', 'j'])
    await recordDeploy(context, workload(name));
  expect(new Set(kept())).toEqual(new Set(['again', 'd', 'e', 'f', 'g', 'h', 'i', 'j', null]));
  expect(kept()).toHaveLength(9);
  expect((await leaves()).filter(([kind]) => kind === 'deploy')).toHaveLength(11);
});

it('records an instance on demand once', async () => {
  await makeHostKey(context);
  const first = await recordDeployOnce(context, workload('a'));
  expect(first).toMatchObject({ workload: 'a', isNew: true, logIndex: 1 });
  expect(await recordDeployOnce(context, workload('a'))).toEqual({ ...first, isNew: false });
  expect(await recordDeployOnce(context, workload('a', 'a-2'))).toMatchObject({ isNew: true, logIndex: 2 });
  await expect(recordDeployOnce(context, { ...workload('a'), instance: null })).rejects.toMatchObject({
    code: 'ENGINE_STATE',
  });
});

it('goes into the log without a signature where the key cannot sign, and beside others where there is no room', async () => {
  await recordDeploy(context, workload('a'), { reason: 'a person asked' });
  expect(await leaves()).toEqual([['deploy', documentTypes.deploy, 0]]);
  await makeHostKey(context);
  const signer = context.keyring.openSigner('host');
  for (let count = 0; count < 128; count += 1) {
    const subjects = [{ digest, name: 'app' }];
    context.attestations.put(
      attest({ subjects, predicateType: RELEASE_TYPE, predicate: { count }, signer, issuer: 'x' }).bytes,
      count,
    );
  }
  expect(await recordDeploy(context, workload('b'))).toBe(2);
  expect(kept()).toHaveLength(128);
});
