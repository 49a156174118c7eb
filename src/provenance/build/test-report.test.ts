import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { parseJunit, parseTap, type TestReport } from './test-report.ts';

const refused = expect.objectContaining({ code: 'PROVENANCE_TEST_REPORT', exit: 4 });
const junit = (text: string): TestReport => parseJunit(Buffer.from(text));
const tap = (text: string): TestReport => parseTap(Buffer.from(text));
const suite = (inside: string): string => `<testsuite>${inside}</testsuite>`;

describe('JUnit XML', () => {
  it('names tests by how they ended', () => {
    const text = `<?xml version="1.0" encoding="UTF-8"?>
<!-- made by a runner -->
<testsuites name="all"><testsuite name="a" tests="5">
  <properties><property name="x" value="y"/></properties>
  <testcase classname="shop.cart" name="adds &amp; &#x6d;ore" time="0.1"/>
  <testcase name='drops'><failure message="1 &lt; 2">a &gt; b</failure><skipped/></testcase>
  <testcase name="breaks"><error><![CDATA[ <not> & read ]]></error></testcase>
  <testcase name="waits"><skipped/></testcase>
  <testcase><system-out>said &#10;</system-out></testcase>
</testsuite></testsuites>
`;
    expect(junit(text)).toEqual({
      passed: ['shop.cart adds & more', 'unnamed'],
      warned: ['waits'],
      failed: ['drops', 'breaks'],
    });
  });

  it('counts only what a test itself says, and shows a name as one line', () => {
    const text = suite('<failure/><testcase name="a&#10;b\u202e"><x><failure/></x></testcase>');
    expect(junit(text)).toEqual({ passed: ['a b'], warned: [], failed: [] });
  });

  it.each([
    ['a document type', '<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>'],
    ['a document type in the root', suite('<!ENTITY a "b">')],
    ['a processing instruction', suite('<?php x?>')],
    ['an entity of its own', suite('<testcase name="&a;"/>')],
    ['an entity without an end', suite('<testcase name="&amp"/>')],
    ['an entity in a text', suite('a &b; c')],
    ['a character that there is not', suite('<testcase name="&#0;"/>')],
    ['a character beyond all', suite('<testcase name="&#x110000;"/>')],
    ['half of a character', suite('<testcase name="&#xd800;"/>')],
    ['a control character', suite('<testcase name="\u0001"/>')],
    ['an attribute twice', suite('<testcase name="a" name="b"/>')],
    ['an attribute without a value', suite('<testcase name/>')],
    ['an attribute without quotes', suite('<testcase name=a/>')],
    ['attributes that run into each other', suite('<testcase name="a"classname="b"/>')],
    ['an element in an attribute', suite('<testcase name="<"/>')],
    ['an element without a name', suite('< testcase/>')],
    ['a name that is too long', suite(`<${'a'.repeat(200)}/>`)],
    ['an element without an end', suite('<testcase / >')],
    ['another end', '<testsuite><testcase></testsuite></testcase>'],
    ['no end', '<testsuite><testcase/>'],
    ['a comment without an end', suite('<!-- ')],
    ['a section outside of the root', `<![CDATA[x]]>${suite('')}`],
    ['the end of a section in a text', suite(']]>')],
    ['text before the root', `x${suite('<testcase/>')}`],
    ['text after the root', `${suite('<testcase/>')}x`],
    ['two roots', suite('<testcase/>').repeat(2)],
    ['nothing', ''],
    ['another root', '<html><testcase/></html>'],
    ['a test in a test', suite('<testcase><testcase/></testcase>')],
    ['no test', suite('')],
    ['endless nesting', '<testsuite>'.repeat(100)],
  ])('is refused with %s', (_, text) => {
    expect(() => junit(text)).toThrow(refused);
  });

  it('is refused when it is no UTF-8, or larger than a report', () => {
    expect(() => parseJunit(Buffer.from([0x3c, 0xff]))).toThrow(refused);
    expect(() => parseJunit(Buffer.alloc(64 * 1024 * 1024 + 1))).toThrow(refused);
  });

  it('is refused with more tests, or longer names, than a statement holds', () => {
    expect(() => junit(suite('<testcase/>'.repeat(50_001)))).toThrow(refused);
    expect(() => junit(suite(`<testcase name="${'n'.repeat(600)}"/>`.repeat(9000)))).toThrow(refused);
  });

  it('is read or refused, whatever it is', () => {
    const piece = fc.constantFrom(
      '<testsuite>',
      '</testsuite>',
      '<testcase name="a"/>',
      '<testcase>',
      '</testcase>',
      '&lt;',
      '<!--',
      '-->',
      ' ',
      '<failure/>',
      '<![CDATA[',
      ']]>',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        try {
          const { passed, warned, failed } = junit(pieces.join(''));
          expect(passed.length + warned.length + failed.length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toEqual(refused);
        }
      }),
    );
  });
});

describe('TAP', () => {
  it('names tests by how they ended', () => {
    const text = `TAP version 14
1..6
ok 1 - adds
not ok 2 - drops
  ---
  message: "ok 3 is not one"
  ...
    ok 1 - of a subtest
ok 3 # SKIP no network
not ok 4 - later # todo not written
ok
ok 6 - \u001b[31mred
# a comment
`;
    expect(tap(text)).toEqual({
      passed: ['adds', 'test 5', '[31mred'],
      warned: ['test 3', 'later'],
      failed: ['drops'],
    });
  });

  it.each([
    ['no plan', 'ok 1 - a\n'],
    ['two plans', '1..1\nok 1\n1..1\n'],
    ['fewer tests than planned', '1..2\nok 1\n'],
    ['more tests than planned', '1..1\nok 1\nok 2\n'],
    ['a bail out', '1..1\nok 1\nBail out! no disk\n'],
    ['no test', '1..0\n'],
  ])('is refused with %s', (_, text) => {
    expect(() => tap(text)).toThrow(refused);
  });

  it('is refused when it is no UTF-8, or larger than a report', () => {
    expect(() => parseTap(Buffer.from([0xff]))).toThrow(refused);
    expect(() => parseTap(Buffer.alloc(64 * 1024 * 1024 + 1))).toThrow(refused);
  });
});
