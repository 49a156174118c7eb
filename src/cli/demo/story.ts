// How the demo is told: headings, text, numbers side by side, claims with their marks; or the same as JSON Lines.
import type { WorkloadEvent } from '../../api/index.ts';
import { formatSize } from '../../base/index.ts';
import { type Output, printable, type Style } from '../output.ts';
import { tierText } from '../words.ts';

const WIDTH = 96;
const INDENT = '  ';

/** Something that the demo says of itself, and whether it was so. */
export interface Claim {
  readonly act: string;
  readonly text: string;
  readonly ok: boolean;
  /** What was measured. */
  readonly number: string;
}

/** One number, from three sides. */
export interface NumberRow {
  readonly what: string;
  readonly asked: string;
  readonly granted: string;
  /** Read from the kernel, or measured, by the demo itself. */
  readonly found: string;
  readonly source: string;
}

export interface StoryOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  /** Whether a line can be overwritten. */
  readonly live: boolean;
}

export class Story {
  readonly claims: Claim[] = [];
  readonly out: Output;
  readonly #options: StoryOptions;
  readonly #fromMs = performance.now();
  #act = '';
  #live = '';

  constructor(out: Output, options: StoryOptions) {
    this.out = out;
    this.#options = options;
  }

  /** Whether a person watches, who wants time to read. */
  get isWatched(): boolean {
    return this.#options.live;
  }

  get seconds(): number {
    return (performance.now() - this.#fromMs) / 1000;
  }

  act(id: string, title: string): void {
    this.#act = id;
    if (this.#options.json) return this.out.object({ step: 'act', act: id, title });
    this.#line();
    this.#line(this.out.paint('bold', `━━ ${title} ${'━'.repeat(Math.max(3, WIDTH - title.length - 4))}`));
  }

  /** A paragraph. */
  say(text: string): void {
    if (this.#options.json) return;
    for (const line of wrapped(text, WIDTH - INDENT.length)) this.#line(INDENT + line);
  }

  /** Rows of cells, aligned; each column may have a style. */
  rows(rows: readonly (readonly string[])[], styles: readonly (Style | null)[] = []): void {
    if (this.#options.json) return;
    const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
    for (const row of rows) {
      const cells = row.map((cell, column) => {
        const padded = column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0);
        const style = styles[column] ?? null;
        return style === null ? padded : this.out.paint(style, padded);
      });
      this.#line(`${INDENT}${INDENT}${cells.join('  ')}`.trimEnd());
    }
  }

  /** A table of numbers: asked for, granted by the decision, read from the kernel. */
  numbers(rows: readonly NumberRow[]): void {
    if (this.#options.json) return this.out.object({ step: 'numbers', act: this.#act, rows });
    this.#line();
    const head = ['', 'asked for', 'granted by decision', 'read from the kernel', ''];
    const cells = rows.map(({ what, asked, granted, found, source }) => [what, asked, granted, found, source]);
    this.rows([head, ...cells], ['dim', null, null, 'bold', 'dim']);
    this.#line();
  }

  claim(text: string, ok: boolean, number: string): void {
    const claim = { act: this.#act, text, ok, number };
    this.claims.push(claim);
    if (this.#options.json) return this.out.object({ step: 'claim', ...claim });
    this.#line(INDENT + this.#claimLine(claim));
  }

  #claimLine({ text, ok, number }: Claim): string {
    const mark = ok ? this.out.paint('green', '✓') : this.out.paint('red', '✗');
    const dots = this.out.paint('dim', ' '.padEnd(Math.max(2, WIDTH - text.length - number.length - 7), '·'));
    return `${mark} ${text}${dots} ${this.out.paint(ok ? 'green' : 'red', number)}`;
  }

  /** All claims again, as the end of the story; also with --quiet. */
  summary(): void {
    const held = this.claims.filter(({ ok }) => ok).length;
    const seconds = Number(this.seconds.toFixed(1));
    const counts = { claims: this.claims.length, held, seconds };
    if (this.#options.json) return this.out.object({ step: 'summary', ok: held === this.claims.length, ...counts });
    this.#settle();
    this.out.line();
    this.out.line(this.out.paint('bold', `━━ ${held} of ${this.claims.length} claims held, after ${seconds} s`));
    for (const claim of this.claims) this.out.line(INDENT + this.#claimLine(claim));
  }

  /** A last line of advice. */
  hint(text: string): void {
    if (this.#options.json || this.#options.quiet) return;
    this.out.line();
    this.out.line(INDENT + this.out.paint('dim', text));
  }

  event(event: WorkloadEvent): void {
    if (event.event === 'window' || event.event === 'progress') return;
    if (this.#options.json) return this.out.object(event);
    const at = this.out.paint('dim', `${this.seconds.toFixed(1).padStart(5)} s`);
    for (const [index, text] of eventText(this.out, event).entries()) {
      const name = index === 0 ? this.out.paint('cyan', event.event.padEnd(9)) : ' '.repeat(9);
      this.#line(`${INDENT}${index === 0 ? at : ' '.repeat(7)}  ${name} ${text}`);
    }
  }

  /** A line that the next one of its kind overwrites; nothing where lines cannot be overwritten. */
  live(text: string): void {
    this.#live = text;
    if (this.#options.live) process.stdout.write(`\r\u001B[2K${INDENT}${text}`);
  }

  /** Keeps the live line as it stands. */
  keepLive(): void {
    const text = this.#live;
    this.#settle();
    if (text !== '') this.#line(INDENT + text);
  }

  #settle(): void {
    if (this.#options.live && this.#live !== '') process.stdout.write('\r\u001B[2K');
    this.#live = '';
  }

  #line(text = ''): void {
    if (this.#options.json || this.#options.quiet) return;
    const live = this.#live;
    this.#settle();
    this.out.line(text);
    if (live !== '') this.live(live);
  }
}

/** At most this many pieces of evidence are shown of an incident. */
const EVIDENCE_LINES_MAX = 5;
const EVENT_TEXT_WIDTH = WIDTH - 21;

type ToldEvent = Exclude<WorkloadEvent, { event: 'window' | 'progress' }>;

function eventText(out: Output, event: ToldEvent): string[] {
  const name = out.paint('bold', event.workload);
  if (event.event === 'started')
    return [
      `${name} revision ${event.revision}: first instruction after ${event.startMs.toFixed(0)} ms, pid ${event.pid}`,
    ];
  if (event.event === 'refused')
    return [`${name} ${clipped(printable(event.reasons.join('; ')), EVENT_TEXT_WIDTH - event.workload.length)}`];
  if (event.event === 'exited') return [`${name} ended: ${event.reason}`];
  if (event.event === 'admitted') {
    const { cpu, memory, network } = event.grant;
    const head = `${name} revision ${event.revision}: score ${event.score.toFixed(2)}, ${tierText(out, event.grantedTier)}`;
    return [`${head}: ${cpu.millicores}m CPU, ${formatSize(memory.bytes)}, ${network}, ${event.driver}`];
  }
  if (event.event === 'grant') {
    const change = `${tierText(out, event.fromTier)} → ${tierText(out, event.toTier)} at score ${event.score.toFixed(2)}`;
    const [decide, apply] = [event.decideMs.toFixed(1), event.applyMs.toFixed(1)];
    return [`${name} ${change}; decided in ${decide} ms, in force in ${apply} ms`];
  }
  const evidence = event.evidence
    .slice(0, EVIDENCE_LINES_MAX)
    .map((text) => clipped(printable(text), EVENT_TEXT_WIDTH));
  return [
    `${name} ${out.paint('red', `${event.severity}: ${event.kind}`)}`,
    ...evidence.map((text) => out.paint('dim', text)),
    `answer: ${event.actions.join(', ')}`,
  ];
}

function clipped(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + word.length + 1 > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
