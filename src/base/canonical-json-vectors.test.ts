import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

import { expect, it } from 'vitest';

import { canonicalJson } from './index.ts';

const shared = fileURLToPath(new URL('../../../shared/vectors', import.meta.url));
const folder = join(resolve(process.env['PROVOST_VECTORS'] ?? shared), 'jcs', 'testdata');
const isThere = existsSync(folder);
if (!isThere) process.stderr.write(`skipped: no public test vectors at ${folder}; set PROVOST_VECTORS\n`);

it.skipIf(!isThere)('writes every public vector of RFC 8785 byte for byte', () => {
  const names = readdirSync(join(folder, 'input'));
  expect(names.length).toBeGreaterThanOrEqual(6);
  for (const name of names) {
    const value: unknown = JSON.parse(readFileSync(join(folder, 'input', name), 'utf8'));
    const expected = readFileSync(join(folder, 'outhex', name.replace('.json', '.txt')), 'utf8').replaceAll(/\s/g, '');
    expect(Buffer.from(canonicalJson(value)).toString('hex'), name).toBe(expected);
  }
});
