import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { openLoggedKeyring } from '../../test/keyring-fixture.ts';
import { parseEnvelope, requireOperator, signDocument, verifyEnvelope } from './index.ts';

const NOW_MS = Date.UTC(2026, 0, 2);
const TYPE = 'https://provost.dev/document/override/v1';
const dir = mkdtempSync(join(tmpdir(), 'provost-operator-'));
const ring = openLoggedKeyring(dir, 'home:3f9a01');
const trusting = { publicPem: null, role: 'operator', scope: 'shop/*', predicateTypes: [] } as const;
for (const name of ['olga', 'oscar', 'alice']) ring.generateKey({ name, nowMs: NOW_MS });
ring.trustKey({ key: 'olga', ...trusting, expiresMs: NOW_MS + 1000, nowMs: NOW_MS });
ring.trustKey({ key: 'oscar', ...trusting, predicateTypes: [TYPE], expiresMs: null, nowMs: NOW_MS });
ring.trustKey({ key: 'alice', ...trusting, role: 'publisher', expiresMs: null, nowMs: NOW_MS });

afterAll(() => rmSync(dir, { recursive: true }));

function ask(key: string, act: Partial<Parameters<typeof requireOperator>[2]> = {}): string {
  try {
    requireOperator(ring.state(), ring.findKey(key), { type: TYPE, artifactName: 'shop/web', nowMs: NOW_MS, ...act });
    return 'may';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

it.each<[string, string, Partial<Parameters<typeof requireOperator>[2]>, string]>([
  ['an operator', 'olga', {}, 'may'],
  ['an operator of any type', 'olga', { type: 'x:1' }, 'may'],
  ['an operator of this type', 'oscar', {}, 'may'],
  ['an operator of another type', 'oscar', { type: 'x:1' }, 'PROVENANCE_KEY_ROLE'],
  ['an operator of another artifact', 'olga', { artifactName: 'bank/web' }, 'PROVENANCE_KEY_ROLE'],
  ['an operator in the last millisecond', 'olga', { nowMs: NOW_MS + 999 }, 'may'],
  ['an operator whose time is over', 'olga', { nowMs: NOW_MS + 1000 }, 'PROVENANCE_KEY_ROLE'],
  ['an operator whose time has not come', 'olga', { nowMs: NOW_MS - 1 }, 'PROVENANCE_KEY_ROLE'],
  ['a publisher', 'alice', {}, 'PROVENANCE_KEY_ROLE'],
])('hears %s', (_, key, act, expected) => {
  expect(ask(key, act)).toBe(expected);
});

it('signs a document so that its type cannot be taken for another', () => {
  const envelope = parseEnvelope(signDocument(TYPE, { workload: 'web', override: null }, ring.openSigner('olga')));
  const keys = [ring.findKey('olga').public];
  const { payload } = verifyEnvelope(envelope, { payloadType: TYPE, keys, threshold: 1 });
  expect(JSON.parse(payload.toString())).toEqual({ override: null, workload: 'web' });
  expect(() => verifyEnvelope(envelope, { payloadType: 'x:1', keys, threshold: 1 })).toThrow();
});
