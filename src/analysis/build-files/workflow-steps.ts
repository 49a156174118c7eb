// The rules for single steps of a GitHub workflow: which action, which script, with which secrets.
import type { DownloadedFiles } from './downloaded-files.ts';
import { type Note, shown } from './finding.ts';
import { noteImage } from './image-reference.ts';
import { noteSetting } from './secret-lines.ts';
import type { ShellCommand } from './shell-commands.ts';
import { programsOf } from './shell-programs.ts';
import { judgeShell } from './shell-rules.ts';
import { lineAt, type TextScript } from './text-script.ts';
import { expressionsIn, headIn, secretIn, type Taints, untrustedPath } from './workflow-expressions.ts';
import { childOf, entriesOf, scriptIn, textOf, textsBelow, type YamlNode } from './yaml-tree.ts';

/** What a rule knows of the job around a step. */
export interface StepContext {
  /** Whether strangers can start the workflow with the rights of the repository. */
  readonly isPrivileged: boolean;
  readonly note: Note;
  readonly taints: Taints;
  /** What steps before have downloaded. */
  readonly downloads: DownloadedFiles;
}

/** Those who keep these own the runner as well. */
const PLATFORM_OWNER = /^(actions|github)\//i;
const VERIFYING = /verif|cosign|attest|slsa|audit|scan|trivy|grype|codeql|gitleaks|signature|checksum|sha256sum/i;

/** Judges one step of a job or of a composite action. */
export function judgeStep(step: YamlNode, context: StepContext): void {
  const { note } = context;
  const uses = childOf(step, 'uses');
  const run = childOf(step, 'run');
  if (uses?.kind === 'text') judgeAction(step, { target: uses.text.trim(), line: uses.line }, context);
  if (run?.kind === 'text') judgeScript(scriptIn(run), context);
  for (const [name, { line, value }] of entriesOf(childOf(step, 'with'))) noteSetting(name, textOf(value), line, note);
  const ignored = childOf(step, 'continue-on-error');
  const what = [run, uses, childOf(step, 'name')].map(textOf).join(' ');
  if (ignored !== null && /^true$/i.test(textOf(ignored).trim()) && VERIFYING.test(what))
    note('workflow.failure-ignored', ignored.line, 'a step that verifies may fail without effect');
}

/** Judges a job that is another workflow. */
export function judgeReusable(job: YamlNode, note: Note): void {
  const uses = childOf(job, 'uses');
  if (uses?.kind !== 'text') return;
  const isHeld = noteTarget(uses.text.trim(), uses.line, note);
  const secrets = childOf(job, 'secrets');
  if (!isHeld && secrets !== null && textsBelow(secrets).length > 0)
    note('workflow.secret-to-stranger', secrets.line, `${shown(uses.text)} is given secrets`);
}

interface ActionUse {
  readonly target: string;
  readonly line: number;
}

function judgeAction(step: YamlNode, { target, line }: ActionUse, { isPrivileged, note, taints }: StepContext): void {
  const isHeld = noteTarget(target, line, note);
  const inputs = childOf(step, 'with');
  const given = [...textsBelow(inputs), ...textsBelow(childOf(step, 'env'))];
  const secret = given.find(({ text }) => secretIn(text, taints) !== null);
  if (!isHeld && !PLATFORM_OWNER.test(target) && secret !== undefined)
    note('workflow.secret-to-stranger', secret.line, `${shown(target)} is given a secret`);
  if (/^actions\/github-script@/i.test(target)) {
    const script = childOf(inputs, 'script');
    if (script?.kind === 'text') noteInjection(scriptIn(script), taints, note);
  }
  if (!/^actions\/checkout@/i.test(target)) return;
  const head = ['ref', 'repository']
    .map((name) => headIn(textOf(childOf(inputs, name)), taints))
    .find((it) => it !== null);
  if (isPrivileged && head !== undefined)
    note('workflow.untrusted-checkout', line, `the step checks out ${shown(head ?? '')}`);
  if (!/^false$/i.test(textOf(childOf(inputs, 'persist-credentials')).trim()))
    note('workflow.persist-credentials', line, 'the token stays in the folder');
}

/** Notes an action that nothing holds in place; returns whether it is held. */
export function noteTarget(target: string, line: number, note: Note): boolean {
  if (/^docker:\/\//i.test(target)) {
    const isHeld = /@sha256:[0-9a-f]{64}$/.test(target);
    if (!isHeld) note('workflow.action-unpinned', line, `${shown(target)} has no digest`);
    return isHeld;
  }
  // An own action or Dockerfile comes with the commit that is built.
  if (/^\.{1,2}\//.test(target) || /(^|\/)dockerfile$/i.test(target)) return true;
  if (/@[0-9a-f]{40}$/i.test(target)) return true;
  note('workflow.action-unpinned', line, `${shown(target)} is not pinned by a full commit`);
  return false;
}

/** `container` and `services` name an image as text or under `image`. */
export function noteImageOfJob(node: YamlNode | null, note: Note): void {
  const image = node?.kind === 'text' ? node : childOf(node, 'image');
  if (image?.kind !== 'text' || image.text.trim() === '') return;
  const [unknown] = expressionsIn(image.text);
  noteImage({ text: image.text.trim(), unknown: unknown?.inside.trim() ?? null }, image.line, note);
}

function judgeScript(script: TextScript, context: StepContext): void {
  const { isPrivileged, note, taints } = context;
  noteInjection(script, taints, note);
  const line = script.places[0]?.line ?? 1;
  if (/ACTIONS_ALLOW_UNSECURE_COMMANDS\s*[=:]\s*["']?(true|1)/i.test(script.text))
    note('workflow.unsecure-commands', line, 'the script allows unsecure commands for later steps');
  for (const command of judgeShell(script, { ...context, variables: new Map() })) {
    noteAssignments(command, note);
    if (isPrivileged && isCheckoutOfHead(command, taints))
      note('workflow.untrusted-checkout', command.line, 'the script checks out the head of the pull request');
    if (isPrinting(command, taints)) note('workflow.secret-printed', command.line, 'a secret is written to the log');
  }
  if (secretIn(script.text, taints) === 'all')
    note('workflow.secret-printed', line, 'the script takes all secrets at once');
}

function noteInjection(script: TextScript, taints: Taints, note: Note): void {
  for (const { inside, offset } of expressionsIn(script.text)) {
    const what = untrustedPath(inside, taints);
    if (what !== null) note('workflow.injection', lineAt(script, offset), `${shown(what)} becomes part of the script`);
  }
}

function noteAssignments({ words, line }: ShellCommand, note: Note): void {
  for (const word of words) {
    const [, name, value] = /^-{0,2}([A-Za-z_][\w-]*)=(.*)$/s.exec(word) ?? [];
    if (name !== undefined && value !== undefined) noteSetting(name, value, line, note);
  }
}

function isCheckoutOfHead(command: ShellCommand, taints: Taints): boolean {
  const text = command.words.join(' ');
  const programs = programsOf(command);
  if (programs.includes('gh')) return /\bpr checkout\b/.test(text);
  if (!programs.includes('git') || !/\b(fetch|checkout|pull|switch|merge|clone|worktree|reset)\b/.test(text))
    return false;
  return (
    headIn(text, taints) !== null || namesOf(text).some((name) => taints.heads.has(name)) || /\bpull\/\d/.test(text)
  );
}

/** Printing to a file or to the next program shows nothing. */
function isPrinting(command: ShellCommand, taints: Taints): boolean {
  if (
    command.targets.length > 0 ||
    command.isPiped ||
    !/^(echo|printf|print|write-host|write-output)$/.test(programsOf(command)[0] ?? '')
  )
    return false;
  const text = command.words.join(' ');
  // Telling the runner to mask a value prints nothing of it.
  if (/^\S+ ::add-mask::/.test(text)) return false;
  return secretIn(text, taints) !== null || namesOf(text).some((name) => taints.secrets.has(name));
}

/** The variables that a command uses, in lower case: `$A`, `${A}`, `$env:A`. */
function namesOf(text: string): string[] {
  return [...text.matchAll(/\$(?:env:|\{)?([A-Za-z_]\w*)/gi)].map(([, name = '']) => name.toLowerCase());
}
