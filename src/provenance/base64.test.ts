import fc from 'fast-check';
import { expect, it } from 'vitest';

import { decodeBase64 } from './base64.ts';

it('reads all bytes in both alphabets, with and without padding where that is allowed', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (array) => {
      const bytes = Buffer.from(array);
      const padded = bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
      for (const text of [bytes.toString('base64'), bytes.toString('base64url'), padded]) {
        expect(decodeBase64(text)).toEqual(bytes);
      }
    }),
  );
});

it('reads at most three texts for one value: standard, URL-safe, URL-safe with padding', () => {
  const text = fc.stringMatching(/^[A-Za-z0-9+/_=-]{0,9}$/);
  fc.assert(
    fc.property(text, (candidate) => {
      const bytes = decodeBase64(candidate);
      if (bytes === null) return;
      const padded = bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
      expect([bytes.toString('base64'), bytes.toString('base64url'), padded]).toContain(candidate);
    }),
    { numRuns: 2000 },
  );
});
