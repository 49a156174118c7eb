// Judges a Dockerfile, instruction by instruction, with the variables and the user that its stages hand on.
import { type DockerContext, judgeCopy, judgeRun, judgeSettings } from './dockerfile-instructions.ts';
import { type DockerInstruction, readDockerfile } from './dockerfile-reader.ts';
import { instructionWords, settingsOf } from './dockerfile-words.ts';
import { DownloadedFiles } from './downloaded-files.ts';
import { type Note, shown } from './finding.ts';
import { noteImage } from './image-reference.ts';
import { noteTokens } from './secret-lines.ts';
import { withoutStart } from './text-script.ts';
import { expandWord } from './variables.ts';

interface Stage {
  readonly variables: Map<string, string>;
  /** Names that ENV has set: no later ARG changes them. */
  readonly fixed: Set<string>;
  readonly line: number;
  user: { readonly name: string; readonly line: number } | null;
}

/** Values that one stage can know; a Dockerfile has a dozen. */
const VARIABLES_MAX = 512;

/** The frontends that define what a Dockerfile means. */
const FRONTEND = /^(docker\.io\/)?docker\/dockerfile(-upstream)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?$/;

/** Judges the text of a Dockerfile. */
export function judgeDockerfile(text: string, options: { readonly hasIgnoreFile: boolean; readonly note: Note }): void {
  const { note } = options;
  const read = readDockerfile(text);
  noteTokens(text, note);
  if ('fault' in read) return note('file.unreadable', read.line, read.fault);
  if (read.syntax !== null && !FRONTEND.test(read.syntax))
    note('dockerfile.frontend', 1, `${shown(read.syntax)} reads the file`);
  const judge = new DockerfileJudge(read.escape, options);
  for (const instruction of read.instructions) judge.take(instruction);
  judge.end();
}

class DockerfileJudge {
  readonly #escape: string;
  readonly #note: Note;
  readonly #hasIgnoreFile: boolean;
  readonly #globals = new Map<string, string>();
  readonly #stages = new Map<string, Stage>();
  readonly #downloads = new DownloadedFiles();
  #stage: Stage | null = null;
  #stageCount = 0;

  constructor(escape: string, { hasIgnoreFile, note }: { readonly hasIgnoreFile: boolean; readonly note: Note }) {
    this.#escape = escape;
    this.#note = note;
    this.#hasIgnoreFile = hasIgnoreFile;
  }

  take(instruction: DockerInstruction): void {
    const context: DockerContext = {
      escape: this.#escape,
      note: this.#note,
      hasIgnoreFile: this.#hasIgnoreFile,
      downloads: this.#downloads,
      variables: this.#stage?.variables ?? this.#globals,
      isStage: (name) => this.#isStage(name),
    };
    switch (instruction.keyword) {
      case 'FROM':
        return this.#from(instruction);
      case 'USER':
        return this.#user(instruction);
      case 'ARG':
      case 'ENV':
        judgeSettings(instruction, context);
        return this.#set(instruction, context.variables);
      case 'LABEL':
        return judgeSettings(instruction, context);
      case 'ADD':
      case 'COPY':
        return judgeCopy(instruction, context);
      case 'ONBUILD':
        return this.#onbuild(instruction);
      default:
        return judgeRun(instruction, context);
    }
  }

  /** Judges the user of the last stage, which is the image. */
  end(): void {
    const stage = this.#stage;
    if (stage === null) return;
    if (stage.user === null) this.#note('dockerfile.root', stage.line, 'the last stage names no user');
    else if (isRoot(stage.user.name)) this.#note('dockerfile.root', stage.user.line, 'the last stage runs as root');
  }

  #isStage(name: string): boolean {
    return this.#stages.has(name.toLowerCase()) || (/^\d{1,4}$/.test(name) && Number(name) < this.#stageCount);
  }

  #onbuild(instruction: DockerInstruction): void {
    const trigger = triggerOf(instruction);
    if (/^(ONBUILD|FROM|MAINTAINER|)$/.test(trigger.keyword))
      this.#note('file.unreadable', instruction.line, 'ONBUILD has no instruction that it may trigger');
    else this.take(trigger);
  }

  #from(instruction: DockerInstruction): void {
    const { words } = instructionWords(instruction, this.#escape);
    const { text, unknown } = expandWord(words[0] ?? '', this.#globals, this.#escape);
    const parent = unknown === null ? this.#stages.get(text.toLowerCase()) : undefined;
    const stage: Stage = {
      variables: new Map(parent?.variables),
      fixed: new Set(parent?.fixed),
      line: instruction.line,
      user: parent?.user ?? null,
    };
    if (parent === undefined && !(unknown === null && text === 'scratch'))
      noteImage({ text, unknown }, instruction.line, this.#note);
    // An image of the same name as its own stage is an image: the stage is known from here on.
    const name = /^as$/i.test(words[1] ?? '') ? words[2] : undefined;
    this.#stageCount += 1;
    if (name !== undefined) this.#stages.set(name.toLowerCase(), stage);
    this.#stage = stage;
  }

  #user(instruction: DockerInstruction): void {
    const { text, unknown } = expandWord(instruction.head.trim(), this.#stage?.variables ?? new Map(), this.#escape);
    if (this.#stage !== null) this.#stage.user = { name: unknown === null ? text : '', line: instruction.line };
  }

  #set(instruction: DockerInstruction, variables: Map<string, string>): void {
    for (const [name, value] of settingsOf(instruction, this.#escape)) {
      if (variables.size >= VARIABLES_MAX && !variables.has(name)) continue;
      if (instruction.keyword === 'ENV') this.#stage?.fixed.add(name);
      else if (this.#stage?.fixed.has(name) === true) continue;
      const known = value === null ? this.#globals.get(name) : expanded(value, variables, this.#escape);
      if (known !== undefined) variables.set(name, known);
      else if (value !== null) variables.delete(name);
    }
  }
}

function expanded(value: string, variables: Map<string, string>, escape: string): string | undefined {
  const { text, unknown } = expandWord(value, variables, escape);
  return unknown === null ? text : undefined;
}

/** `ONBUILD RUN …` → `RUN …` */
function triggerOf(instruction: DockerInstruction): DockerInstruction {
  const [, keyword = '', head = ''] = /^(\S*)\s*([\s\S]*)$/.exec(instruction.head) ?? [];
  const cut = instruction.head.length - head.length;
  return { ...instruction, keyword: keyword.toUpperCase(), head, script: withoutStart(instruction.script, cut) };
}

/** Any spelling of the number 0 is root, and so is an empty name. */
function isRoot(user: string): boolean {
  const name = (user.split(':', 1)[0] ?? '').trim().toLowerCase();
  return (
    name === '' || name === 'root' || /^\+?0+$/.test(name) || /(^|\\)(containeradministrator|administrator)$/.test(name)
  );
}
