// Judges pipelines of GitLab CI: images, included files, variables and scripts.
import { DownloadedFiles } from './downloaded-files.ts';
import { type Note, shown } from './finding.ts';
import { imageHoldOf } from './image-reference.ts';
import { noteSetting, noteTokens } from './secret-lines.ts';
import type { Variables } from './shell-lexer.ts';
import { judgeShell } from './shell-rules.ts';
import { expandWord } from './variables.ts';
import { childOf, entriesOf, itemsOf, readYaml, scriptIn, textOf, textsBelow, type YamlNode } from './yaml-tree.ts';

/** Keys at the top of the file that are no jobs. */
const NO_JOBS: ReadonlySet<string> = new Set([
  'include',
  'variables',
  'stages',
  'workflow',
  'spec',
  'image',
  'services',
]);
/** In the order in which a job runs them. */
const SCRIPTS = ['before_script', 'script', 'after_script'] as const;

/** Judges the text of a pipeline; before its jobs, a second document may describe its inputs. */
export function judgeGitlab(text: string, note: Note): void {
  noteTokens(text, note);
  const tree = readYaml(text);
  if ('fault' in tree) return note('file.unreadable', tree.line, tree.fault);
  for (const root of tree.documents) {
    if (root.kind === 'map') judgePipeline(root, note);
    else note('file.unreadable', root.line, 'it is no map');
  }
}

function judgePipeline(root: YamlNode, note: Note): void {
  const globals = judgeVariables(childOf(root, 'variables'), new Map(), note);
  for (const one of itemsOf(childOf(root, 'include'))) judgeInclude(one, note);
  judgeJob(root, globals, note);
  for (const [name, { value }] of entriesOf(root)) {
    if (NO_JOBS.has(name) || value.kind !== 'map') continue;
    for (const one of itemsOf(childOf(childOf(value, 'trigger'), 'include'))) judgeInclude(one, note);
    judgeJob(value, judgeVariables(childOf(value, 'variables'), globals, note), note);
  }
}

/** A variable is text, or a map that holds it under `value`. */
function judgeVariables(node: YamlNode | null, around: Variables, note: Note): Variables {
  const known = new Map(around);
  for (const [name, { line, value }] of entriesOf(node)) {
    const text = textOf(value.kind === 'map' ? childOf(value, 'value') : value);
    noteSetting(name, text, line, note);
    known.set(name, text);
  }
  return known;
}

function judgeInclude(node: YamlNode, note: Note): void {
  const remote = node.kind === 'text' ? node : childOf(node, 'remote');
  if (remote?.kind !== 'text') return;
  const isHeld = /^sha256-[A-Za-z0-9+/]{43}=$/.test(textOf(childOf(node, 'integrity')).trim());
  const isRemote = node.kind === 'map' || /^\s*[a-z]+:\/\//i.test(remote.text);
  if (isRemote && !isHeld) note('gitlab.include-remote', remote.line, `${shown(remote.text)} is included as it comes`);
}

/** Judges a job, or the defaults of all jobs. */
function judgeJob(job: YamlNode, variables: Variables, note: Note): void {
  noteImageOf(childOf(job, 'image'), variables, note);
  for (const service of itemsOf(childOf(job, 'services'))) noteImageOf(service, variables, note);
  const downloads = new DownloadedFiles();
  const hooks = childOf(childOf(job, 'hooks'), 'pre_get_sources_script');
  for (const node of [...SCRIPTS.map((name) => childOf(job, name)), hooks])
    for (const text of textsBelow(node)) judgeShell(scriptIn(text), { variables, downloads, note });
}

function noteImageOf(node: YamlNode | null, variables: Variables, note: Note): void {
  const name = node?.kind === 'map' ? childOf(node, 'name') : node;
  if (name?.kind !== 'text' || name.text.trim() === '') return;
  const { text, unknown } = expandWord(name.text.trim(), variables, '\\');
  if (imageHoldOf(text) === 'digest') return;
  const why = unknown === null ? `${shown(text)} has no digest` : `${shown(unknown)} has no value in the file`;
  note('gitlab.image-unpinned', name.line, why);
}
