// The part of XML that test reports use: elements, attributes and text. What else there could be is refused, not skipped.
import { exitStatus, MIB } from '../../base/index.ts';
import { ProvenanceError } from '../errors.ts';
import { excerptOf } from '../excerpt.ts';

/** Largest report that is read: a hundred thousand tests. */
export const REPORT_BYTES_MAX = 64 * MIB;
const DEPTH_MAX = 64;
const ATTRIBUTES_MAX = 64;
const NAME_CHARS_MAX = 128;

/** What a walk through a document meets, in its order. Text and comments are checked, and not told. */
export type XmlEvent =
  | { readonly kind: 'open'; readonly name: string; readonly attributes: ReadonlyMap<string, string> }
  | { readonly kind: 'close'; readonly name: string };

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ['amp', '&'],
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
]);
const NAME = /[A-Za-z_][A-Za-z0-9_.:-]*/y;
const SPACE = /[ \t\r\n]*/y;
const DECLARATION = /^\uFEFF?<\?xml[ \t\r\n][^<>?]{0,200}\?>/;
// Characters that XML 1.0 has not. @source XML 1.0, production [2] Char
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/;

/**
 * Walks an attacker-controlled XML document. There are no document types, no processing instructions, and no entities but the five of
 * XML itself and characters by number.
 *
 * @throws ProvenanceError PROVENANCE_TEST_REPORT
 * @source https://www.w3.org/TR/xml/
 */
export function* parseXml(bytes: Uint8Array): Generator<XmlEvent, void, undefined> {
  const reader = new XmlReader(decode(bytes));
  yield* reader.document();
}

function decode(bytes: Uint8Array): string {
  if (bytes.length > REPORT_BYTES_MAX) throw badReport(`it has more than ${REPORT_BYTES_MAX} bytes`);
  try {
    return strictUtf8.decode(bytes);
  } catch (error) {
    throw badReport('it is not UTF-8', error);
  }
}

class XmlReader {
  readonly #text: string;
  readonly #open: string[] = [];
  #at: number;

  constructor(text: string) {
    if (FORBIDDEN.test(text)) throw badReport('it holds a character that XML has not');
    this.#text = text;
    this.#at = DECLARATION.exec(text)?.[0].length ?? 0;
  }

  *document(): Generator<XmlEvent, void, undefined> {
    let hasRoot = false;
    while (this.#at < this.#text.length) {
      const next = this.#text.indexOf('<', this.#at);
      this.#characters(next === -1 ? this.#text.length : next);
      if (next === -1) break;
      if (this.#skip()) continue;
      if (this.#open.length === 0 && hasRoot && this.#text[next + 1] !== '/') throw badReport('it has two roots');
      hasRoot = true;
      yield* this.#text[next + 1] === '/' ? this.#close() : this.#element();
    }
    if (!hasRoot || this.#open.length > 0) throw badReport('it ends too soon');
  }

  /** Text up to `end`: its references must be known, and outside the root there is only space. */
  #characters(end: number): void {
    const text = this.#text.slice(this.#at, end);
    if (this.#open.length === 0 && text.trim() !== '' && text !== '\uFEFF')
      throw badReport('it has text outside its root');
    if (text.includes('&')) decodeReferences(text);
    if (text.includes(']]>')) throw badReport('it has ]]> in a text');
    this.#at = end;
  }

  /** Past a comment or a section of text; what is neither but begins so is refused. */
  #skip(): boolean {
    for (const [start, end] of [
      ['<!--', '-->'],
      ['<![CDATA[', ']]>'],
    ] as const) {
      if (!this.#text.startsWith(start, this.#at)) continue;
      const to = this.#text.indexOf(end, this.#at + start.length);
      if (to === -1) throw badReport(`a ${start} in it has no end`);
      if (start !== '<!--' && this.#open.length === 0) throw badReport('it has text outside its root');
      this.#at = to + end.length;
      return true;
    }
    const mark = this.#text[this.#at + 1];
    if (mark === '!') throw badReport('it has a document type, which could name files and hosts');
    if (mark === '?') throw badReport('it has a processing instruction');
    return false;
  }

  *#close(): Generator<XmlEvent, void, undefined> {
    this.#at += 2;
    const name = this.#name();
    this.#space();
    if (this.#text[this.#at] !== '>' || this.#open.pop() !== name)
      throw badReport(`</${excerptOf(name, 40)}> closes nothing`);
    this.#at += 1;
    yield { kind: 'close', name };
  }

  *#element(): Generator<XmlEvent, void, undefined> {
    this.#at += 1;
    const name = this.#name();
    const attributes = this.#attributes();
    const isEmpty = this.#text[this.#at] === '/';
    this.#at += isEmpty ? 1 : 0;
    if (this.#text[this.#at] !== '>') throw badReport(`<${excerptOf(name, 40)}> is not well formed`);
    this.#at += 1;
    if (!isEmpty) this.#open.push(name);
    if (this.#open.length > DEPTH_MAX) throw badReport(`it nests deeper than ${DEPTH_MAX}`);
    yield { kind: 'open', name, attributes };
    if (isEmpty) yield { kind: 'close', name };
  }

  #attributes(): ReadonlyMap<string, string> {
    const attributes = new Map<string, string>();
    for (
      let hasSpace = this.#space();
      ![undefined, '>', '/'].includes(this.#text[this.#at]);
      hasSpace = this.#space()
    ) {
      if (!hasSpace) throw badReport('attributes in it run into each other');
      const name = this.#name();
      this.#space();
      if (this.#text[this.#at] !== '=') throw badReport(`attribute ${excerptOf(name, 40)} has no value`);
      this.#at += 1;
      this.#space();
      const value = this.#value(name);
      if (attributes.has(name) || attributes.size >= ATTRIBUTES_MAX)
        throw badReport(`attribute ${excerptOf(name, 40)} is there twice, or one too many`);
      attributes.set(name, value);
    }
    return attributes;
  }

  #value(name: string): string {
    const quote = this.#text[this.#at];
    const end = quote === '"' || quote === "'" ? this.#text.indexOf(quote, this.#at + 1) : -1;
    const raw = end === -1 ? '<' : this.#text.slice(this.#at + 1, end);
    if (raw.includes('<')) throw badReport(`the value of ${excerptOf(name, 40)} is not well formed`);
    this.#at = end + 1;
    return decodeReferences(raw);
  }

  #name(): string {
    NAME.lastIndex = this.#at;
    const name = NAME.exec(this.#text)?.[0] ?? '';
    if (name === '' || name.length > NAME_CHARS_MAX) throw badReport('a name in it is missing or too long');
    this.#at += name.length;
    return name;
  }

  /** True when there was some. */
  #space(): boolean {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    const moved = SPACE.lastIndex > this.#at;
    this.#at = SPACE.lastIndex;
    return moved;
  }
}

function decodeReferences(text: string): string {
  return text.replaceAll(/&([^;&]{0,12});?/g, (whole, body: string) => {
    const known = ENTITIES.get(body);
    const [, hex, decimal] = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(body) ?? [];
    const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    if (!whole.endsWith(';') || (known === undefined && !isCharacter(code)))
      throw badReport(`it names the entity '${excerptOf(body, 20)}', which is not known`);
    return known ?? String.fromCodePoint(code);
  });
}

function isCharacter(code: number): boolean {
  const isPlain = code === 0x9 || code === 0xa || code === 0xd || (code >= 0x20 && code <= 0xd7ff);
  return isPlain || (code >= 0xe000 && code <= 0xfffd) || (code >= 0x10000 && code <= 0x10ffff);
}

/** A report of tests that cannot be read. */
export function badReport(why: string, cause?: unknown): ProvenanceError {
  return new ProvenanceError('PROVENANCE_TEST_REPORT', `the report of the tests cannot be read: ${why}`, {
    exit: exitStatus.verificationFailed,
    hint: 'Give JUnit XML with --junit, or TAP with --tap, as the test runner wrote it.',
    cause,
  });
}
