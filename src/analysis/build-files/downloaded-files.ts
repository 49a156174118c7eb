// Follows downloads from the command that writes them to a file to the one that runs the file.
import type { ShellCommand } from './shell-commands.ts';
import { isFetching, isRunningText, isVerifying, programsOf } from './shell-programs.ts';

/** Files that a build downloads; more of them are not followed. */
const FILES_MAX = 256;

/** Options of curl and wget that name the file to write. */
const OUTPUT_OPTION = /^(-[a-zA-Z]*[oO]|--output|--output-document)$/;

/** The downloaded files of one stage or job that nothing has verified so far. */
export class DownloadedFiles {
  readonly #names = new Set<string>();

  /**
   * Takes the next command. Names the downloaded file that it runs, or null. Any verification counts for all files before it:
   * which one a list of checksums means cannot be seen.
   */
  take(command: ShellCommand): string | null {
    if (isVerifying(command)) this.#names.clear();
    const run = this.#runBy(command);
    if (isFetching(command))
      for (const name of filesOf(command)) if (this.#names.size < FILES_MAX) this.#names.add(name);
    return run;
  }

  #runBy(command: ShellCommand): string | null {
    if (this.#names.size === 0) return null;
    const [program = '', ...rest] = command.words.filter((word) => !/^\w+=/.test(word));
    const isRunner =
      isRunningText(command) || programsOf(command).some((name) => /^(python|perl|ruby|node|php)/.test(name));
    const candidates = isRunner ? rest : program.includes('/') ? [program] : [];
    const found = candidates.find((word) => this.#names.has(baseName(word)));
    // Behind `sudo` and its like the program is a later word.
    const last =
      programsOf(command).length > 1
        ? rest.find((word) => word.includes('/') && this.#names.has(baseName(word)))
        : undefined;
    return found ?? last ?? null;
  }
}

/** Where a download goes: by an option, by redirection, or under the name that its address ends in. */
function filesOf({ words, targets }: ShellCommand): string[] {
  const named = words.flatMap((word, at) => {
    const value = /^--output(?:-document)?=(.+)$/.exec(word)?.[1];
    if (value !== undefined) return [value];
    return OUTPUT_OPTION.test(word) ? [words[at + 1] ?? ''] : [];
  });
  const addresses = words.filter((word) => /^\w+:\/\//.test(word)).map((word) => word.replace(/[?#].*$/, ''));
  return [...named, ...targets, ...addresses]
    .map(baseName)
    .filter((name) => name !== '' && name !== '-' && name !== 'null');
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
