// Judges GitHub workflows and composite actions: who may start them, what their token may do, and what they run.
import { DownloadedFiles } from './downloaded-files.ts';
import { type Note, shown } from './finding.ts';
import { noteSetting, noteTokens } from './secret-lines.ts';
import { NO_TAINTS, type Taints, withEnvironment } from './workflow-expressions.ts';
import { judgeReusable, judgeStep, noteImageOfJob, noteTarget, type StepContext } from './workflow-steps.ts';
import {
  childOf,
  entriesOf,
  itemsOf,
  readYaml,
  textOf,
  textsBelow,
  type YamlNode,
  type YamlTree,
} from './yaml-tree.ts';

/** Triggers that strangers pull and that run with the rights of the repository. */
const PRIVILEGED = /^(pull_request_target|workflow_run|issue_comment|pull_request_review|pull_request_review_comment)$/;
const PULL_REQUEST = /^pull_request/;

/** Judges the text of a workflow. */
export function judgeWorkflow(text: string, note: Note): void {
  noteTokens(text, note);
  const root = onlyDocument(readYaml(text), note);
  if (root === null) return;
  const jobs = childOf(root, 'jobs');
  if (jobs?.kind !== 'map') return note('file.unreadable', root.line, 'it has no jobs');
  const triggers = triggersOf(childOf(root, 'on'));
  const env = judgeEnv(childOf(root, 'env'), NO_TAINTS, note);
  judgePermissions(root, jobs, note);
  for (const [, { value }] of entriesOf(jobs)) judgeJob(value, { triggers, note, taints: env });
}

/** Judges the text of an action; only composite ones and those of an image run what the file says. */
export function judgeAction(text: string, note: Note): void {
  noteTokens(text, note);
  const root = onlyDocument(readYaml(text), note);
  const runs = childOf(root, 'runs');
  const image = childOf(runs, 'image');
  if (image?.kind === 'text') noteTarget(image.text, image.line, note);
  const taints = judgeEnv(childOf(runs, 'env'), NO_TAINTS, note);
  const downloads = new DownloadedFiles();
  for (const step of itemsOf(childOf(runs, 'steps')))
    judgeStep(step, contextOf({ triggers: [], note, taints }, downloads));
}

function onlyDocument(tree: YamlTree, note: Note): YamlNode | null {
  if ('fault' in tree) note('file.unreadable', tree.line, tree.fault);
  else if (tree.documents.length > 1) note('file.unreadable', 1, 'it has several documents');
  else if (tree.documents[0]?.kind !== 'map') note('file.unreadable', 1, 'it is no map');
  else return tree.documents[0];
  return null;
}

interface JobContext {
  readonly triggers: readonly string[];
  readonly note: Note;
  readonly taints: Taints;
}

function contextOf({ triggers, note, taints }: JobContext, downloads: DownloadedFiles): StepContext {
  return { isPrivileged: triggers.some((it) => PRIVILEGED.test(it)), note, taints, downloads };
}

/** `on: push`, `on: [push]` and `on: { push: … }`. */
function triggersOf(node: YamlNode | null): string[] {
  return node?.kind === 'map' ? [...node.entries.keys()] : itemsOf(node).map(textOf);
}

/** Judges settings of an environment and returns what its names stand for. */
function judgeEnv(node: YamlNode | null, around: Taints, note: Note): Taints {
  const settings = entriesOf(node).map(([name, { value }]) => [name, textOf(value)] as const);
  for (const [name, { line, value }] of entriesOf(node)) {
    noteSetting(name, textOf(value), line, note);
    noteUnsecureCommands(name, textOf(value), line, note);
  }
  return withEnvironment(around, settings);
}

function noteUnsecureCommands(name: string, value: string, line: number, note: Note): void {
  if (name.toUpperCase() === 'ACTIONS_ALLOW_UNSECURE_COMMANDS' && !/^(false|)$/i.test(value.trim()))
    note('workflow.unsecure-commands', line, 'steps may set variables by what they print');
}

function judgePermissions(root: YamlNode, jobs: YamlNode, note: Note): void {
  const top = childOf(root, 'permissions');
  noteAllPermissions(top, note);
  for (const [name, { line, value }] of entriesOf(jobs)) {
    const own = childOf(value, 'permissions');
    noteAllPermissions(own, note);
    if (top === null && own === null)
      note('workflow.permissions-absent', line, `neither the workflow nor the job ${shown(name)} has permissions`);
  }
}

function noteAllPermissions(node: YamlNode | null, note: Note): void {
  if (node?.kind === 'text' && /^write-all$/i.test(node.text.trim()))
    note('workflow.permissions-all', node.line, 'permissions are write-all');
}

function judgeJob(job: YamlNode, context: JobContext): void {
  const { note, triggers } = context;
  const taints = judgeEnv(childOf(job, 'env'), context.taints, note);
  judgeRunner(job, triggers, note);
  const container = childOf(job, 'container');
  noteImageOfJob(container, note);
  judgeEnv(childOf(container, 'env'), taints, note);
  for (const [, { value }] of entriesOf(childOf(job, 'services'))) {
    noteImageOfJob(value, note);
    judgeEnv(childOf(value, 'env'), taints, note);
  }
  judgeReusable(job, note);
  const downloads = new DownloadedFiles();
  for (const step of itemsOf(childOf(job, 'steps'))) {
    const own = judgeEnv(childOf(step, 'env'), taints, note);
    judgeStep(step, contextOf({ triggers, note, taints: own }, downloads));
  }
}

/** A runner may be named by a matrix: then the whole matrix is looked at. */
function judgeRunner(job: YamlNode, triggers: readonly string[], note: Note): void {
  const runner = childOf(job, 'runs-on');
  const named = textsBelow(runner);
  const isComputed = named.some(({ text }) => /\$\{\{[^}]{0,200}matrix/i.test(text));
  const all = isComputed ? [...named, ...textsBelow(childOf(job, 'strategy'))] : named;
  if (
    runner !== null &&
    triggers.some((it) => PULL_REQUEST.test(it)) &&
    all.some(({ text }) => /self-hosted/i.test(text))
  )
    note('workflow.self-hosted', runner.line, 'a pull request runs on a self-hosted runner');
}
