import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { expect, it } from 'vitest';

import { needs, VECTORS_FOLDER } from '../../test/needs.ts';
import { canonicalJson } from './index.ts';

const folder = join(VECTORS_FOLDER, 'jcs/testdata');

it.skipIf(needs('vectors'))('writes every public vector of RFC 8785 byte for byte', () => {
  const names = readdirSync(join(folder, 'input'));
  expect(names.length).toBeGreaterThanOrEqual(6);
  for (const name of names) {
    const value: unknown = JSON.parse(readFileSync(join(folder, 'input', name), 'utf8'));
    const expected = readFileSync(join(folder, 'outhex', name.replace('.json', '.txt')), 'utf8').replaceAll(/\s/g, '');
    expect(Buffer.from(canonicalJson(value)).toString('hex'), name).toBe(expected);
  }
});
