// Follows downloads from the command that writes them to a file to the one that runs the file.
import type { ShellCommand } from './shell-commands.ts';
import { isFetching, isRunningFile, isVerifying, programsOf } from './shell-programs.ts';

/** Files that a build downloads; more of them are not followed. */
const FILES_MAX = 256;

/** Options of curl and wget that the file to write follows. */
const OUTPUT_OPTION = /^(-[a-zA-Z]*[oO]|--output|--output-document)$/;

/** Programs that write a file under the last name of its address when nothing else is said. */
const SAVERS = /^(wget2?|aria2c|axel)$/;

/** The downloaded files of one stage or job that nothing has verified so far. */
export class DownloadedFiles {
  readonly #names = new Set<string>();
  /** Those that run by their name alone. */
  readonly #programs = new Set<string>();

  /**
   * Takes the next command. Names the downloaded file that it runs, or null. Any verification counts for all files before it:
   * which one a list of checksums means cannot be seen.
   */
  take(command: ShellCommand): string | null {
    if (isVerifying(command)) this.#clear();
    const run = this.#runBy(command);
    if (isFetching(command)) for (const path of filesOf(command)) this.#add(path);
    return run;
  }

  #clear(): void {
    this.#names.clear();
    this.#programs.clear();
  }

  #add(path: string): void {
    const name = baseName(path);
    if (/^(-|null|stdout|)$/.test(name) || this.#names.size >= FILES_MAX) return;
    this.#names.add(name);
    if (/(^|\/)s?bin\/[^/]+$/.test(path)) this.#programs.add(name);
  }

  /** A shell runs what it is given; otherwise the program itself, behind `sudo` and its like a later word, is the file. */
  #runBy(command: ShellCommand): string | null {
    if (this.#names.size === 0) return null;
    const words = command.words.filter((word) => !/^\w+=/.test(word));
    const isProgram = (word: string): boolean =>
      word.includes('/') ? this.#names.has(baseName(word)) : this.#programs.has(word);
    const program = words.slice(0, programsOf(command).length > 1 ? words.length : 1).find(isProgram);
    if (program !== undefined || !isRunningFile(command)) return program ?? null;
    return words.slice(1).find((word) => this.#names.has(baseName(word))) ?? null;
  }
}

/** Where a download goes: by an option, by redirection, or under the name that its address ends in. */
function filesOf(command: ShellCommand): string[] {
  const { words, targets } = command;
  const named = words.flatMap((word, at) => {
    const value = /^--output(?:-document)?=(.+)$/.exec(word)?.[1];
    if (value !== undefined) return [value];
    return OUTPUT_OPTION.test(word) ? [words[at + 1] ?? ''] : [];
  });
  const given = [...named, ...targets];
  const isSaved = given.length === 0 && programsOf(command).some((name) => SAVERS.test(name));
  if (!isSaved && !words.some((word) => /^(-[a-zA-Z]*O|--remote-name(-all)?)$/.test(word))) return given;
  const addresses = words.filter((word) => /^\w+:\/\//.test(word)).map((word) => word.replace(/[?#].*$/, ''));
  return [...given, ...addresses];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
