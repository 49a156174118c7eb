import fc from 'fast-check';
import { expect, it } from 'vitest';

import { IDENTITY, SigstoreInstance } from '../../../test/sigstore-fixture.ts';
import { digestOf, hexOf } from '../../artifact/index.ts';
import { ProvenanceError } from '../errors.ts';
import { STATEMENT_MEDIA_TYPE, STATEMENT_TYPE } from '../statement.ts';
import { parseSigstoreBundle } from './bundle.ts';
import { verifySigstoreBundle } from './verify-bundle.ts';

const RUNS = 400;

const instance = new SigstoreInstance();
const artifact = digestOf('the artifact');
const statement = { _type: STATEMENT_TYPE, subject: [{ digest: { sha256: hexOf(artifact) } }], predicateType: 'x:y' };
const bundle: unknown = instance.attest(Buffer.from(JSON.stringify(statement)), STATEMENT_MEDIA_TYPE, {
  isTimestamped: true,
});
const root: unknown = instance.root();
const policy = { identities: [{ issuer: IDENTITY.issuer, subjectPattern: IDENTITY.subject }] };

function verify(inputs: { bundle: unknown; root: unknown }) {
  const parsed = parseSigstoreBundle(Buffer.from(JSON.stringify(inputs.bundle)));
  return verifySigstoreBundle(parsed, { trustedRoot: Buffer.from(JSON.stringify(inputs.root)), policy, artifact });
}

/** The texts, numbers, lists and objects of a document, each with a way to put another in its place. */
function placesOf(value: unknown, replace: (value: unknown) => unknown = (it) => it): Place[] {
  const here: Place = { value, replace };
  if (typeof value !== 'object' || value === null) return [here];
  const members = Object.entries(value).flatMap(([key, member]) =>
    placesOf(member, (other) =>
      replace(Array.isArray(value) ? value.with(Number(key), other) : { ...value, [key]: other }),
    ),
  );
  return [here, ...members];
}

interface Place {
  readonly value: unknown;
  readonly replace: (value: unknown) => unknown;
}

/** Changes one place: to any JSON, or, of base64, one byte or the length. */
const changeOf = (document: unknown): fc.Arbitrary<unknown> =>
  fc.constantFrom(...placesOf(document)).chain(({ value, replace }) => {
    const anything = fc.jsonValue().map(replace);
    if (typeof value !== 'string' || value.length < 8) return anything;
    const bytes = Buffer.from(value, 'base64');
    const flipped = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })).map(([at, bits]) => {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] ?? 0) ^ bits;
      return replace(copy.toString('base64'));
    });
    const cut = fc.nat(bytes.length - 1).map((length) => replace(bytes.subarray(0, length).toString('base64')));
    return fc.oneof(
      { weight: 1, arbitrary: anything },
      { weight: 4, arbitrary: flipped },
      { weight: 1, arbitrary: cut },
    );
  });

const { timestampMs, ...expected } = verify({ bundle, root });

/** Whatever was changed: the same answer, at most without the time that was left out, or a refusal; nothing else is thrown. */
function hold(inputs: { bundle: unknown; root: unknown }): void {
  try {
    const { timestampMs: found, ...answer } = verify(inputs);
    expect(answer).toEqual(expected);
    expect([timestampMs, null]).toContain(found);
  } catch (error) {
    // Only refusals of the room are answers.
    if (!(error instanceof ProvenanceError)) throw error;
    expect(error.exit).toBe(4);
  }
}

it('gives the same answer or a refusal when anything in a bundle changes', () => {
  fc.assert(
    fc.property(changeOf(bundle), (changed) => hold({ bundle: changed, root })),
    { numRuns: RUNS },
  );
});

it('gives the same answer or a refusal when anything in the trusted root changes', () => {
  fc.assert(
    fc.property(changeOf(root), (changed) => hold({ bundle, root: changed })),
    { numRuns: RUNS },
  );
});
