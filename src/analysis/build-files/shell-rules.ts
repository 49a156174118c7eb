// Judges a parsed shell script: downloads that are run, checks that are switched off, rights that are given away.
import type { DownloadedFiles } from './downloaded-files.ts';
import { type Note, shown } from './finding.ts';
import { parseShell, type ShellCommand, type ShellGroup, type ShellScript } from './shell-commands.ts';
import type { Variables } from './shell-lexer.ts';
import { judgePipelines, nameOf } from './shell-pipelines.ts';
import { isShell, isWorldWritableMode, programsOf, verificationOffIn } from './shell-programs.ts';
import { scriptAt, type TextScript } from './text-script.ts';

/** Scripts given as text to shells that are given as text to shells. */
const TEXTS_DEEP_MAX = 6;

/** What a script is judged with. */
export interface ShellContext {
  readonly variables: Variables;
  /** What scripts before it in the same stage or job have downloaded. */
  readonly downloads: DownloadedFiles;
  readonly note: Note;
}

/** Judges a script; returns its commands, also those inside others, for further rules. */
export function judgeShell(script: TextScript, context: ShellContext): ShellCommand[] {
  const commands: ShellCommand[] = [];
  judgeText({ ...context, script, commands, depth: 0 });
  for (const command of commands) {
    const file = context.downloads.take(command);
    if (file !== null)
      context.note('shell.unverified-script', command.line, `${shown(file)} is run as it was downloaded`);
  }
  return commands;
}

interface Work extends ShellContext {
  readonly script: TextScript;
  readonly commands: ShellCommand[];
  readonly depth: number;
}

function judgeText(work: Work): void {
  const parsed = parseShell(work.script, work.variables);
  const line = work.script.places[0]?.line ?? 1;
  if (parsed.isCut || work.depth > TEXTS_DEEP_MAX) work.note('file.limit', line, 'a script nests too deep');
  if (work.depth > TEXTS_DEEP_MAX) return;
  judgePipelines(parsed, work.note);
  for (const command of commandsOf(parsed)) {
    work.commands.push(command);
    judgeCommand(command, work.note);
    for (const text of textsRunBy(command))
      judgeText({ ...work, script: scriptAt(text, command.line), depth: work.depth + 1 });
  }
}

/** What a shell, or `su` and its like, is given as text to run. */
function textsRunBy(command: ShellCommand): string[] {
  if (!isShell(command) && !programsOf(command).some((name) => /^(su|runuser|script|watch|ssh)$/.test(name))) return [];
  const isWords = programsOf(command).some((name) => name === 'eval' || name === 'iex');
  if (isWords) return [command.words.slice(1).join(' ')];
  return command.words.filter((word) => /\s/.test(word.trim()));
}

/** All commands of a script, also of groups, substitutions and here-documents. */
function commandsOf(script: ShellScript): ShellCommand[] {
  return script.pipelines.flat().flatMap(commandsIn);
}

function commandsIn(step: ShellCommand | ShellGroup): ShellCommand[] {
  if (step.kind === 'group') return step.pipelines.flat().flatMap(commandsIn);
  const scripts = [...step.inner.map(({ script }) => script), ...step.heredocs];
  return [step, ...scripts.flatMap(commandsOf)];
}

function judgeCommand(command: ShellCommand, note: Note): void {
  const { words, line } = command;
  const off = verificationOffIn(command);
  if (off !== null) note('shell.verification-off', line, `${nameOf(command)} is told ${shown(off)}`);
  if (words.some((word) => /^--(privileged(=true)?|cap-add=(all|sys_admin))$/i.test(word)))
    note('shell.privileged', line, `${nameOf(command)} starts something with the privileges of the host`);
  const mode = programsOf(command).includes('chmod') ? words.find(isWorldWritableMode) : undefined;
  if (mode !== undefined) note('shell.world-writable', line, `chmod gives mode ${shown(mode)}`);
}
