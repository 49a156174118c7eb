// Runs plain-text transcripts: `$ provost …` lines, what they print, and what they leave with.
import { expect } from 'vitest';
import type { TestHome } from '../home-fixture.ts';

/**
 * Runs each command of a transcript and compares it with what stands below it: stdout, then stderr with `! ` before each line, then
 * `? STATUS` when that is not 0. In what is printed, `<…>` stands for anything within a line, and a line of `...` for any lines.
 */
export async function runTranscript(home: TestHome, transcript: string): Promise<void> {
  const commands = transcript.trim().split(/^\$ /m).slice(1);
  expect(commands.length).toBeGreaterThan(0);
  for (const command of commands) {
    const [line = '', ...expected] = command.trimEnd().split('\n');
    const { stdout, stderr, code } = await home.provost(argumentsOf(line.replaceAll('HOME', home.dir)));
    const printed = [
      ...linesOf(stdout),
      ...linesOf(stderr).map((text) => `! ${text}`),
      ...(code === 0 ? [] : [`? ${code}`]),
    ];
    const actual = printed.map((text) => text.replaceAll(home.dir, 'HOME').trimEnd());
    if (!patternOf(expected).test(actual.join('\n')))
      expect(`$ ${line}\n${actual.join('\n')}`).toBe(`$ ${line}\n${expected.join('\n')}`);
  }
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

/** Words as a shell would cut them; only double quotes are known. */
function argumentsOf(line: string): string[] {
  return [...line.replace(/^provost\s*/, '').matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? '',
  );
}

function patternOf(lines: readonly string[]): RegExp {
  const patterns = lines.map((line) =>
    line === '...'
      ? '(?:.*\\n?)*?'
      : line
          .split(/<[^<>\n]*>/)
          .map(escaped)
          .join('.+'),
  );
  return new RegExp(`^${patterns.join('\\n').replaceAll('(?:.*\\n?)*?\\n', '(?:.*\\n)*?')}$`);
}

function escaped(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`);
}
