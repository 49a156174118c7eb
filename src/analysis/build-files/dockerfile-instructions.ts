// The rules for single instructions of a Dockerfile: settings, copies and commands.
import type { DockerInstruction } from './dockerfile-reader.ts';
import { arrayForm, instructionWords, settingsOf, withoutFlags } from './dockerfile-words.ts';
import type { DownloadedFiles } from './downloaded-files.ts';
import { type Note, shown } from './finding.ts';
import { noteImage } from './image-reference.ts';
import { noteSetting } from './secret-lines.ts';
import { tokenKindIn } from './secret-text.ts';
import type { ShellCommand } from './shell-commands.ts';
import { isVerificationSettingOff, isWorldWritableMode, programsOf } from './shell-programs.ts';
import { judgeShell } from './shell-rules.ts';
import { scriptAt, type TextScript, withoutStart } from './text-script.ts';
import { expandWord } from './variables.ts';

/** What a rule knows of the place where an instruction stands. */
export interface DockerContext {
  readonly escape: string;
  readonly note: Note;
  readonly hasIgnoreFile: boolean;
  /** What steps before have downloaded. */
  readonly downloads: DownloadedFiles;
  /** ARG and ENV of this stage so far. */
  readonly variables: Map<string, string>;
  /** Whether a name or number means an earlier stage. */
  readonly isStage: (name: string) => boolean;
}

/** Files that hold secrets by their name. */
const SECRET_FILE =
  /(^|\/)(\.env(\*|\.(?!example$|sample$|template$|dist$)[^/]*)?|\.ssh(\/.*)?|id_(rsa|dsa|ecdsa|ed25519)\*?|\.aws(\/.*)?|\.npmrc|\.pypirc|\.netrc|\.git-credentials|\.docker(\/(config\.json)?)?|\.kube(\/.*)?|[^/]*\.(key|p12|pfx|jks|keystore)|[^/]{0,64}(private|secret)[^/]{0,64}\.pem)$/i;

/** Judges ENV, ARG and LABEL. */
export function judgeSettings(instruction: DockerInstruction, { escape, variables, note }: DockerContext): void {
  for (const [name, raw] of settingsOf(instruction, escape)) {
    if (raw === null) continue;
    const { text, unknown } = expandWord(raw, variables, escape);
    const value = unknown === null ? text : '$';
    if (instruction.keyword !== 'LABEL' || tokenKindIn(value) !== null)
      noteSetting(name, value, instruction.line, note);
    if (isVerificationSettingOff(name, value))
      note('shell.verification-off', instruction.line, `${shown(name)} is set for the whole image`);
  }
}

/** Judges ADD and COPY. */
export function judgeCopy(instruction: DockerInstruction, context: DockerContext): void {
  const { escape, variables, note } = context;
  const { line } = instruction;
  const { flags, words } = instructionWords(instruction, escape);
  const from = flags.find(([name]) => name === 'from')?.[1];
  if (from !== undefined) noteSource(from, line, context);
  const mode = flags.find(([name]) => name === 'chmod')?.[1];
  if (mode !== undefined && isWorldWritableMode(mode))
    note('shell.world-writable', line, `mode ${shown(mode)} is given`);
  const isChecked = flags.some(
    ([name, value]) => name === 'checksum' && /^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$/.test(value),
  );
  for (const word of words.slice(0, -1)) {
    const { text, unknown } = expandWord(word, variables, escape);
    const isRemote = instruction.keyword === 'ADD' && (isAddress(text) || (unknown !== null && text === ''));
    if (isRemote && !isChecked && !/\.git(\/)?#[0-9a-f]{40}(:|$)/.test(text))
      note('dockerfile.add-remote', line, `${shown(text || unknown || '')} is added as it comes`);
    if (SECRET_FILE.test(text)) note('dockerfile.copy-secret', line, `${shown(text)} is copied`);
    if (from === undefined && !context.hasIgnoreFile && /^(\.?\/*|\.?\/?\*)$/.test(text || '-'))
      note('dockerfile.copy-all', line, `${shown(text)} is copied without .dockerignore`);
  }
}

function isAddress(text: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\/|^git@/i.test(text);
}

/** `--from` and mounts may name an image instead of a stage. */
function noteSource(name: string, line: number, { escape, variables, note, isStage }: DockerContext): void {
  const image = expandWord(name, variables, escape);
  if (image.unknown === null && (isStage(image.text) || image.text === 'scratch')) return;
  noteImage(image, line, note);
}

/** Judges RUN, and what CMD, ENTRYPOINT and HEALTHCHECK start later. */
export function judgeRun(instruction: DockerInstruction, context: DockerContext): void {
  const { keyword, line } = instruction;
  if (!['RUN', 'CMD', 'ENTRYPOINT', 'HEALTHCHECK'].includes(keyword)) return;
  const { note } = context;
  judgeRunFlags(instruction, context);
  const commands = judgeShell(scriptOfRun(instruction), context);
  if (tokenKindIn(instruction.head) !== null) note('file.secret', line, 'the command seems to hold a token or key');
  for (const command of commands) judgeBuildCommand(command, context);
}

/** The array form starts a program without a shell: its words are quoted, so that the same reader can judge it. */
function scriptOfRun({ keyword, head, script, line }: DockerInstruction): TextScript {
  const afterFlags = withoutFlags(head);
  const plain = keyword === 'HEALTHCHECK' ? afterFlags.replace(/^(CMD|NONE)(\s+|$)/i, '') : afterFlags;
  const words = arrayForm(plain);
  if (words !== null) return scriptAt(words.map(quoted).join(' '), line);
  return withoutStart(script, head.length - plain.length);
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function judgeRunFlags(instruction: DockerInstruction, context: DockerContext): void {
  const { flags } = instructionWords(instruction, context.escape);
  for (const [name, value] of flags) {
    if (name === 'security' && /insecure/i.test(value))
      context.note('shell.privileged', instruction.line, 'the step runs with --security=insecure');
    if (name === 'network' && /host/i.test(value))
      context.note('shell.privileged', instruction.line, 'the step runs in the network of the host');
    const from = name === 'mount' ? /(?:^|,)from=([^,]+)/i.exec(value)?.[1] : undefined;
    if (from !== undefined) noteSource(from, instruction.line, context);
  }
}

function judgeBuildCommand(command: ShellCommand, { note }: DockerContext): void {
  const programs = programsOf(command);
  if (programs.includes('sudo')) note('dockerfile.sudo', command.line, 'a step calls sudo');
  for (const word of command.words) {
    const [, name, value] = /^-{0,2}([A-Za-z_][\w-]*)=(.*)$/s.exec(word) ?? [];
    if (name !== undefined && value !== undefined) noteSetting(name, value, command.line, note);
  }
  if (!programs.some((name) => /^apt(-get|itude)?$/.test(name))) return;
  const loose = packagesOf(command.words).find((word) => !/[=/]/.test(word));
  if (loose !== undefined)
    note('dockerfile.package-version', command.line, `${shown(loose)} is installed in any version`);
}

/** The packages that `apt-get install` names; values of its options are none. */
function packagesOf(words: readonly string[]): string[] {
  const at = words.indexOf('install');
  if (at === -1) return [];
  return words.slice(at + 1).filter((word, index, rest) => {
    const before = rest[index - 1] ?? '';
    return (
      !word.startsWith('-') &&
      !/^(-o|-t|-c|-a|--option|--target-release|--config-file|--host-architecture)$/.test(before)
    );
  });
}
