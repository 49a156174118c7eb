import { expect, it } from 'vitest';
import { z } from 'zod';

import { DEPENDENCY_FILE_BYTES_MAX } from './dependency.ts';
import { parseJsonDocument, parseLines, parseShape, parseText } from './document.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_DEPENDENCIES', exit: 4 });

it('reads text and lines, of either system', () => {
  expect(parseText(Buffer.from('grüße'), 'the text')).toBe('grüße');
  expect(parseLines(Buffer.from('a\r\nb\n'), 'the text')).toEqual(['a', 'b', '']);
});

it.each([
  ['more bytes than a file may have', Buffer.alloc(DEPENDENCY_FILE_BYTES_MAX + 1, 'a\n')],
  ['more lines than a file may have', Buffer.alloc(2_000_001, '\n')],
  ['a line that is too long', Buffer.from(`a\n${'b'.repeat(65_537)}`)],
  ['bytes that are no UTF-8', Buffer.from([0x61, 0xff])],
])('refuses %s', (_, bytes) => {
  expect(() => parseLines(bytes, 'the text')).toThrow(refused);
});

it('refuses JSON beyond the same size', () => {
  const bytes = Buffer.alloc(DEPENDENCY_FILE_BYTES_MAX + 1, ' ');
  expect(() => parseJsonDocument(bytes, z.unknown(), 'the text')).toThrow(
    expect.objectContaining({ code: 'PROVENANCE_JSON' }),
  );
});

it('says where a value has another form, escaped', () => {
  const schema = z.record(z.string(), z.object({ b: z.number() }));
  expect(() => parseShape({ 'a\u202e': { b: 'x' } }, schema, 'the text')).toThrow(
    /^the text is not valid at 'a\\u\{202e\}\.b': /,
  );
  expect(() => parseShape(null, schema, 'the text')).toThrow(/^the text is not valid at '': /);
});
