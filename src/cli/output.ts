// What commands print: data on stdout, messages on stderr, colour and progress only where a person looks.
import { messageOf, ProvostError, exitStatus } from '../base/index.ts';

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
}

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const;
export type Style = keyof typeof codes;

/** Writes for one command. */
export class Output {
  readonly json: boolean;
  readonly #quiet: boolean;
  readonly #color: boolean;
  #progressShown = false;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.#quiet = options.quiet;
    this.#color = options.color;
  }

  /** One line of data for people. */
  line(text = ''): void {
    process.stdout.write(`${text}\n`);
  }

  /** One JSON object on a line. */
  object(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }

  /** A message on stderr, left out with --quiet. */
  message(text: string): void {
    this.#endProgress();
    if (!this.#quiet) process.stderr.write(`${text}\n`);
  }

  /** A progress line that overwrites itself; only on a terminal. */
  progress(step: string, ratio: number | null): void {
    if (this.#quiet || this.json || !process.stderr.isTTY) return;
    const bar =
      ratio === null ? '' : ` ${'█'.repeat(Math.round(ratio * 20)).padEnd(20, '░')} ${Math.round(ratio * 100)} %`;
    process.stderr.write(`\r\x1b[2K${this.paint('dim', step)}${bar}`);
    this.#progressShown = true;
  }

  #endProgress(): void {
    if (this.#progressShown) process.stderr.write('\r\x1b[2K');
    this.#progressShown = false;
  }

  /** Ends a progress line, if there is one. */
  done(): void {
    this.#endProgress();
  }

  paint(style: Style, text: string): string {
    return this.#color ? `\x1b[${codes[style]}m${text}\x1b[0m` : text;
  }

  /** A table with left-aligned columns that fit their widest cell. */
  table(header: readonly string[], rows: readonly (readonly string[])[]): void {
    const widths = header.map((title, column) =>
      Math.max(title.length, ...rows.map((row) => visibleLength(row[column] ?? ''))),
    );
    const write = (cells: readonly string[]): void =>
      this.line(
        cells
          .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - visibleLength(cell))))
          .join('  ')
          .trimEnd(),
      );
    write(header.map((title) => this.paint('dim', title)));
    for (const row of rows) write(row);
  }
}

const ANSI = new RegExp(`${String.fromCodePoint(27)}\\[[0-9;]*m`, 'g');

/** Length without colour codes. */
function visibleLength(text: string): number {
  return text.replaceAll(ANSI, '').length;
}

/** Text from outside, safe to print: control characters, which could move the cursor or forge lines, become `?`. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, '?');
}

/** Prints an error as what happened, why, and what to do; returns the exit status. */
export function printError(error: unknown, output: { readonly json: boolean; readonly color: boolean }): number {
  const exit = error instanceof ProvostError ? error.exit : exitStatus.internal;
  if (output.json) {
    const code = error instanceof ProvostError ? error.code : 'INTERNAL';
    const hint = error instanceof ProvostError ? (error.hint ?? null) : null;
    process.stdout.write(`${JSON.stringify({ error: { code, message: messageOf(error), hint, exit } })}\n`);
    return exit;
  }
  const red = (text: string): string => (output.color ? `\x1b[31m${text}\x1b[0m` : text);
  process.stderr.write(`${red('provost:')} ${messageOf(error)}\n`);
  if (error instanceof ProvostError) {
    if (error.hint !== undefined) process.stderr.write(`  ${error.hint}\n`);
    process.stderr.write(`  (${error.code}, exit ${exit})\n`);
  } else if (error instanceof Error && process.env['PROVOST_DEBUG'] !== undefined) {
    process.stderr.write(`${error.stack ?? ''}\n`);
  }
  return exit;
}
