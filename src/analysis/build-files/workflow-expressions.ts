// What the expressions of a GitHub workflow name, and which of it a stranger writes.

/** Fields that whoever opens an issue, a pull request or a discussion, or pushes to a fork, fills with any text. */
const UNTRUSTED: readonly (readonly string[])[] = [
  'head_ref',
  'event.issue.title',
  'event.issue.body',
  'event.pull_request.title',
  'event.pull_request.body',
  'event.pull_request.head.ref',
  'event.pull_request.head.label',
  'event.pull_request.head.repo.default_branch',
  'event.pull_request.head.repo.description',
  'event.pull_request.head.repo.homepage',
  'event.comment.body',
  'event.review.body',
  'event.review_comment.body',
  'event.discussion.title',
  'event.discussion.body',
  'event.pages.*.page_name',
  'event.commits.*.message',
  'event.commits.*.author.email',
  'event.commits.*.author.name',
  'event.head_commit.message',
  'event.head_commit.author.email',
  'event.head_commit.author.name',
  'event.head_commit.committer.email',
  'event.head_commit.committer.name',
  'event.workflow_run.head_branch',
  'event.workflow_run.display_title',
  'event.workflow_run.head_commit.message',
  'event.workflow_run.head_commit.author.email',
  'event.workflow_run.head_commit.author.name',
  'event.workflow_run.head_repository.description',
  'event.workflow_run.pull_requests.*.head.ref',
].map((path) => path.split('.'));

/** Fields that name the code of a pull request. */
const HEADS: readonly (readonly string[])[] = [
  'head_ref',
  'event.pull_request.head',
  'event.pull_request.merge_commit_sha',
  'event.pull_request.number',
  'event.number',
  'event.issue.number',
  'event.workflow_run.head_branch',
  'event.workflow_run.head_sha',
  'event.workflow_run.head_commit',
  'event.workflow_run.head_repository',
  'event.workflow_run.pull_requests',
].map((path) => path.split('.'));

/** Names of `env` whose values hold what a stranger writes, the head of a pull request, or a secret. */
export interface Taints {
  readonly untrusted: ReadonlySet<string>;
  readonly heads: ReadonlySet<string>;
  readonly secrets: ReadonlySet<string>;
}

export const NO_TAINTS: Taints = { untrusted: new Set(), heads: new Set(), secrets: new Set() };

/** One `${{ … }}` of a text: what it holds, and where it begins. */
export interface Expression {
  readonly inside: string;
  readonly offset: number;
}

/** The expressions of a text, in one pass: what is not closed is none. */
export function expressionsIn(text: string): Expression[] {
  const found: Expression[] = [];
  for (let offset = text.indexOf('${{'); offset !== -1;) {
    const close = text.indexOf('}}', offset + 3);
    if (close === -1) break;
    found.push({ inside: text.slice(offset + 3, close), offset });
    offset = text.indexOf('${{', close + 2);
  }
  return found;
}

/** Names what a text takes from a stranger, or null. */
export function untrustedIn(text: string, taints: Taints): string | null {
  for (const expression of expressionsIn(text)) {
    const found = untrustedPath(expression.inside, taints);
    if (found !== null) return found;
  }
  return null;
}

/** Names what one expression takes from a stranger, or null. */
export function untrustedPath(expression: string, taints: Taints): string | null {
  const isWhole = /\b(tojson|format|join)\s*\(/i.test(expression);
  for (const path of pathsIn(expression)) {
    if (path[0] === 'env' && taints.untrusted.has(path[1] ?? '')) return path.join('.');
    if (path[0] !== 'github') continue;
    if (UNTRUSTED.some((one) => isSame(one, path.slice(1), isWhole))) return path.join('.');
  }
  return null;
}

/** Names what of a text stands for the code of a pull request, or null. */
export function headIn(text: string, taints: Taints): string | null {
  for (const path of expressionsIn(text).flatMap(({ inside }) => pathsIn(inside))) {
    if (path[0] === 'env' && taints.heads.has(path[1] ?? '')) return path.join('.');
    if (path[0] === 'github' && HEADS.some((one) => isSame(one, path.slice(1, one.length + 1), false)))
      return path.join('.');
  }
  return /\brefs\/pull\/|\bpull\/\$/i.test(text) ? 'refs/pull' : null;
}

/** Whether a text takes a secret; `all` when it takes all of them at once. */
export function secretIn(text: string, taints: Taints): 'one' | 'all' | null {
  let found: 'one' | null = null;
  for (const path of expressionsIn(text).flatMap(({ inside }) => pathsIn(inside))) {
    if (path[0] === 'secrets' && (path.length === 1 || path[1] === '*')) return 'all';
    if (path[0] === 'secrets' || (path[0] === 'github' && path[1] === 'token')) found = 'one';
    if (path[0] === 'env' && taints.secrets.has(path[1] ?? '')) found = 'one';
  }
  return found;
}

/** The names of the environment as a step sees them: what this level sets hides what lies around it. */
export function withEnvironment(around: Taints, settings: readonly (readonly [string, string])[]): Taints {
  const untrusted = new Set(around.untrusted);
  const heads = new Set(around.heads);
  const secrets = new Set(around.secrets);
  for (const [name, value] of settings) {
    const key = name.toLowerCase();
    mark(untrusted, key, untrustedIn(value, around) !== null);
    mark(heads, key, headIn(value, around) !== null);
    mark(secrets, key, secretIn(value, around) !== null);
  }
  return { untrusted, heads, secrets };
}

function mark(names: Set<string>, name: string, isMarked: boolean): void {
  if (isMarked) names.add(name);
  else names.delete(name);
}

/** Whether a path means a field: `*` on either side means any; with `isWhole` an object around the field counts too. */
function isSame(field: readonly string[], path: readonly string[], isWhole: boolean): boolean {
  if (path.length > field.length || (path.length < field.length && !isWhole)) return false;
  return path.every((name, at) => name === '*' || field[at] === '*' || name === field[at]);
}

/** Indexes within indexes that are followed. */
const INDEXES_DEEP_MAX = 4;

/** The paths that an expression names, in lower case; an index that is computed counts as any. */
function pathsIn(expression: string): string[][] {
  let plain = expression
    .toLowerCase()
    .replaceAll(/\s/g, '')
    .replaceAll(/\['([\w-]{1,64})'\]/g, '.$1')
    .replaceAll(/'[^']*'/g, "''");
  // The innermost first; an index within an index within an index nobody writes.
  for (let pass = 0; pass < INDEXES_DEEP_MAX; pass += 1) plain = plain.replaceAll(/\[[^\][]*\]/g, '.*');
  return [...plain.matchAll(/(?<![\w.-])(github|env|secrets)((?:\.(?:[\w-]+|\*))*)/g)].map(
    ([, root = '', rest = '']) => [root, ...rest.split('.').slice(1)],
  );
}
