import { describe, expect, it } from 'vitest';

import { judgeBuildFiles } from '../index.ts';

const COMMIT = 'a'.repeat(40);
const DIGEST = `sha256:${'b'.repeat(64)}`;
const GITHUB_TOKEN = `ghp_${'a1B2'.repeat(9)}`;
const CHECKOUT = `actions/checkout@${COMMIT}`;

function found(text: string, path = '.github/workflows/ci.yml'): string[] {
  return judgeBuildFiles([{ path, bytes: Buffer.from(text) }]).findings.map(({ rule, line }) => `${rule}:${line}`);
}

/** A workflow that is clean but for one step, which begins at line 7. */
function step(text: string, trigger = 'push'): string {
  const lines = text.split('\n').map((line, at) => `${at === 0 ? '      - ' : '        '}${line}`);
  return `on: ${trigger}\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n${lines.join('\n')}\n`;
}

/** Rule, its line, refused step, its nearest accepted one, trigger. */
const STEPS: readonly (readonly [rule: string, line: number, refused: string, accepted: string, trigger?: string])[] = [
  ['workflow.action-unpinned', 7, 'uses: a/b@v1', `uses: a/b@${COMMIT}`],
  ['workflow.action-unpinned', 7, `uses: a/b@${COMMIT.slice(1)}`, `uses: a/b/c@${COMMIT}`],
  ['workflow.action-unpinned', 7, 'uses: a/b', 'uses: ./a/b'],
  ['workflow.action-unpinned', 7, `"uses": 'a/b@main'`, `"uses": 'a/b@${COMMIT}'`],
  ['workflow.action-unpinned', 7, 'uses: docker://a:1', `uses: docker://a@${DIGEST}`],
  ['workflow.action-unpinned', 7, `uses: a/b@\${{ env.V }}`, 'uses: ./.github/a'],
  ['workflow.injection', 7, 'run: echo ${{ github.event.issue.title }}', 'run: echo ${{ github.event.issue.number }}'],
  ['workflow.injection', 8, 'run: |\n  echo "${{github.head_ref}}"', 'run: |\n  echo "${{github.sha}}"'],
  [
    'workflow.injection',
    7,
    'run: "echo ${{ github . event . Comment . BODY }}"',
    'run: "echo ${{ github.event.comment.id }}"',
  ],
  [
    'workflow.injection',
    7,
    `run: echo \${{ github['event']["x"].y.title || github['event']['issue']['body'] }}`,
    `run: echo \${{ 'github.event.issue.body' }}`,
  ],
  [
    'workflow.injection',
    7,
    'run: echo ${{ github.event.commits[0].message }}',
    'run: echo ${{ github.event.commits[0].id }}',
  ],
  [
    'workflow.injection',
    7,
    'run: echo ${{ github.event.pull_request.head.ref }}',
    'run: echo ${{ github.event.pull_request.head.sha }}',
  ],
  ['workflow.injection', 7, 'run: echo ${{ github.event[github.event.x].title }}', 'run: echo ${{ github.ref_name }}'],
  [
    'workflow.injection',
    7,
    `run: echo '\${{ toJSON(github.event) }}'`,
    `run: echo '\${{ toJSON(github.event.number) }}'`,
  ],
  [
    'workflow.injection',
    7,
    `run: echo \${{ format('{0}', github.event.review.body) }}`,
    `run: echo \${{ format('{0}', github.run_id) }}`,
  ],
  [
    'workflow.injection',
    9,
    'env:\n  T: ${{ github.event.issue.title }}\nrun: echo ${{ env.T }}',
    'env:\n  T: ${{ github.event.issue.title }}\nrun: echo "$T"',
  ],
  [
    'workflow.injection',
    9,
    `uses: actions/github-script@${COMMIT}\nwith:\n  script: f(\`\${{ github.event.issue.body }}\`)`,
    `uses: actions/github-script@${COMMIT}\nwith:\n  script: f(context.payload.issue.body)`,
  ],
  [
    'workflow.untrusted-checkout',
    7,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: false, ref: "\${{ github.event.pull_request.head.sha }}" }`,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: false }`,
    'pull_request_target',
  ],
  [
    'workflow.untrusted-checkout',
    7,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: false, repository: "\${{ github.event.workflow_run.head_repository.full_name }}" }`,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: false, repository: a/b }`,
    '{ workflow_run: { workflows: [a] } }',
  ],
  [
    'workflow.untrusted-checkout',
    7,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: false, ref: "refs/pull/\${{ github.event.number }}/merge" }`,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: false, ref: main }`,
    '[push, pull_request_target]',
  ],
  ['workflow.untrusted-checkout', 7, 'run: gh pr checkout 1', 'run: gh pr view 1', 'issue_comment'],
  [
    'workflow.untrusted-checkout',
    7,
    'run: git fetch origin pull/${{ github.event.number }}/head',
    'run: git fetch origin main',
    'pull_request_target',
  ],
  [
    'workflow.untrusted-checkout',
    9,
    'env:\n  S: ${{ github.event.pull_request.head.sha }}\nrun: git checkout "$S"',
    'env:\n  S: ${{ github.event.pull_request.head.sha }}\nrun: echo "$S"',
    'pull_request_target',
  ],
  [
    'workflow.secret-printed',
    7,
    'run: echo ${{ secrets.A }}',
    'run: echo ${{ secrets.A }} | docker login --password-stdin',
  ],
  [
    'workflow.secret-printed',
    9,
    'env:\n  A: ${{ secrets.A }}\nrun: echo "$A"',
    'env:\n  A: ${{ secrets.A }}\nrun: echo "$A" > ~/.a',
  ],
  ['workflow.secret-printed', 7, 'run: printf %s ${{ github.token }}', 'run: tool ${{ github.token }}'],
  ['workflow.secret-printed', 7, `run: tool '\${{ toJSON(secrets) }}'`, `run: tool '\${{ toJSON(secrets.A) }}'`],
  ['workflow.persist-credentials', 7, `uses: ${CHECKOUT}`, `uses: ${CHECKOUT}\nwith:\n  persist-credentials: false`],
  [
    'workflow.persist-credentials',
    7,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: true }`,
    `uses: ${CHECKOUT}\nwith: { persist-credentials: 'false' }`,
  ],
  [
    'workflow.unsecure-commands',
    8,
    'env:\n  ACTIONS_ALLOW_UNSECURE_COMMANDS: true\nrun: a',
    'env:\n  ACTIONS_ALLOW_UNSECURE_COMMANDS: false\nrun: a',
  ],
  [
    'workflow.unsecure-commands',
    7,
    'run: echo ACTIONS_ALLOW_UNSECURE_COMMANDS=true >> $GITHUB_ENV',
    'run: echo A=true >> $GITHUB_ENV',
  ],
  [
    'workflow.failure-ignored',
    8,
    'run: cosign verify a\ncontinue-on-error: true',
    'run: cosign verify a\ncontinue-on-error: false',
  ],
  [
    'workflow.failure-ignored',
    8,
    'run: npm audit\ncontinue-on-error: true',
    'run: npm outdated\ncontinue-on-error: true',
  ],
  ['shell.remote-script', 7, 'run: curl x | sh', 'run: curl x | jq .'],
  ['shell.remote-script', 11, 'run: |\n  a\n\n  curl x |\n    bash', 'run: |\n  a\n\n  curl x ||\n    bash'],
  ['shell.remote-script', 7, 'run: >-\n  curl x\n  | sh', 'run: >-\n  curl x\n  y'],
  ['shell.remote-script', 7, 'run: "curl x \\u007C sh"', 'run: "curl x \\u007C cat"'],
  ['shell.remote-script', 7, 'run: curl ${{ github.sha || github.ref }} | sh', 'run: tool ${{ github.sha | sh }}'],
  ['shell.verification-off', 7, 'run: curl -k x', 'run: curl x'],
  ['file.secret-setting', 8, 'env:\n  API_TOKEN: abc\nrun: a', 'env:\n  API_TOKEN: ${{ secrets.A }}\nrun: a'],
  [
    'file.secret-setting',
    9,
    `uses: a/b@${COMMIT}\nwith:\n  password: abc`,
    `uses: a/b@${COMMIT}\nwith:\n  password: \${{ secrets.A }}`,
  ],
  ['file.secret-setting', 7, 'run: TOKEN=abc make', 'run: TOKEN=$A make'],
  ['file.secret', 7, `run: tool ${GITHUB_TOKEN}`, 'run: tool ghp_x'],
];

describe('a step of a clean workflow', () => {
  it.each(STEPS.map(([rule, line, refused, , trigger = 'push']) => [rule, line, refused, trigger] as const))(
    'has %s at line %d in %j',
    (rule, line, refused, trigger) => {
      expect(found(step(refused, trigger))).toEqual([`${rule}:${line}`]);
    },
  );

  it.each(STEPS.map(([rule, , , accepted, trigger = 'push']) => [rule, accepted, trigger] as const))(
    'has no %s in %j',
    (_rule, accepted, trigger) => {
      expect(found(step(accepted, trigger))).toEqual([]);
    },
  );

  it('gives the head of a pull request no rights with a trigger that has none', () => {
    const text = `uses: ${CHECKOUT}\nwith: { persist-credentials: false, ref: "\${{ github.head_ref }}" }`;
    expect(found(step(text, 'pull_request'))).toEqual([]);
    expect(found(step(text, 'pull_request_target'))).toEqual(['workflow.untrusted-checkout:7']);
  });

  it('gives secrets to strangers only when something holds them', () => {
    const given = (target: string): string[] => found(step(`uses: ${target}\nwith:\n  a: \${{ secrets.A }}`));
    expect(given('a/b@v1')).toEqual(['workflow.action-unpinned:7', 'workflow.secret-to-stranger:9']);
    expect(given('actions/b@v1')).toEqual(['workflow.action-unpinned:7']);
    expect(given(`a/b@${COMMIT}`)).toEqual([]);
  });
});

const HEAD = 'on: push\npermissions: {}\n';
const JOB = '    runs-on: x\n    steps: []\n';

const FILES: readonly (readonly [name: string, text: string, found: readonly string[]])[] = [
  ['no permissions', `on: push\njobs:\n  a:\n${JOB}`, ['workflow.permissions-absent:3']],
  [
    'permissions of one job of two',
    `on: push\njobs:\n  a:\n    permissions: {}\n${JOB}  b:\n${JOB}`,
    ['workflow.permissions-absent:7'],
  ],
  ['permissions of each job', `on: push\njobs:\n  a:\n    permissions: {}\n${JOB}`, []],
  ['write-all', `on: push\npermissions: "write-all"\njobs:\n  a:\n${JOB}`, ['workflow.permissions-all:2']],
  ['write-all of a job', `${HEAD}jobs:\n  a:\n    permissions: write-all\n${JOB}`, ['workflow.permissions-all:5']],
  ['read-all', `on: push\npermissions: read-all\njobs:\n  a:\n${JOB}`, []],
  [
    'a self-hosted runner',
    'on: [pull_request]\npermissions: {}\njobs:\n  a:\n    runs-on: [self-hosted, x]\n',
    ['workflow.self-hosted:5'],
  ],
  [
    'a self-hosted group',
    'on: { pull_request_target: {} }\npermissions: {}\njobs:\n  a:\n    runs-on:\n      labels: Self-Hosted\n',
    ['workflow.self-hosted:6'],
  ],
  [
    'a self-hosted runner by matrix',
    'on: pull_request\npermissions: {}\njobs:\n  a:\n    runs-on: ${{ matrix.os }}\n    strategy: { matrix: { os: [self-hosted] } }\n',
    ['workflow.self-hosted:5'],
  ],
  ['a self-hosted runner for pushes', 'on: push\npermissions: {}\njobs:\n  a:\n    runs-on: self-hosted\n', []],
  ['a hosted runner', 'on: pull_request\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n', []],
  ['a container by tag', `${HEAD}jobs:\n  a:\n    container: a:1\n${JOB}`, ['dockerfile.image-tag:5']],
  [
    'a container by expression',
    `${HEAD}jobs:\n  a:\n    container: { image: "\${{ matrix.a }}" }\n${JOB}`,
    ['dockerfile.image-unresolvable:5'],
  ],
  ['a container by digest', `${HEAD}jobs:\n  a:\n    container: { image: a@${DIGEST} }\n${JOB}`, []],
  [
    'a service',
    `${HEAD}jobs:\n  a:\n    services:\n      db:\n        image: a\n        env: { DB_PASSWORD: abc }\n${JOB}`,
    ['dockerfile.image-floating:7', 'file.secret-setting:8'],
  ],
  [
    'another workflow',
    `${HEAD}jobs:\n  a:\n    uses: a/b/.github/workflows/c.yml@v1\n    secrets: inherit\n`,
    ['workflow.action-unpinned:5', 'workflow.secret-to-stranger:6'],
  ],
  [
    'another workflow by commit',
    `${HEAD}jobs:\n  a:\n    uses: a/b/.github/workflows/c.yml@${COMMIT}\n    secrets: inherit\n`,
    [],
  ],
  ['an own workflow', `${HEAD}jobs:\n  a:\n    uses: ./.github/workflows/c.yml\n    secrets: inherit\n`, []],
  [
    'a download of a step before',
    `${HEAD}jobs:\n  a:\n    runs-on: x\n    steps:\n      - run: curl -o i x\n      - run: sh i\n`,
    ['shell.unverified-script:8'],
  ],
  [
    'an environment around the job',
    `${HEAD}env:\n  T: \${{ github.head_ref }}\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo \${{ env.t }}\n`,
    ['workflow.injection:9'],
  ],
  [
    'an environment that the job hides',
    `${HEAD}env:\n  T: \${{ github.head_ref }}\njobs:\n  a:\n    runs-on: x\n    env: { T: a }\n    steps:\n      - run: echo \${{ env.T }}\n`,
    [],
  ],
  [
    'an anchor',
    `${HEAD}jobs:\n  a:\n    runs-on: x\n    steps: &s\n      - run: curl x | sh\n  b:\n    runs-on: x\n    steps: *s\n`,
    ['shell.remote-script:7'],
  ],
  [
    'an anchor of a script',
    `${HEAD}env:\n  A: &r |\n    a\n    curl x | sh\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: *r\n`,
    ['shell.remote-script:6'],
  ],
  [
    'a merged map',
    `${HEAD}jobs:\n  a:\n    runs-on: x\n    steps:\n      - &s { run: "curl x | sh" }\n      - { <<: *s, name: b }\n`,
    ['shell.remote-script:7'],
  ],
  [
    'flow style',
    `{on: push, permissions: {}, jobs: {a: {runs-on: x, steps: [{run: "curl x | sh"}]}}}`,
    ['shell.remote-script:1'],
  ],
  ['CRLF', step('run: |\n  a\n  curl x | sh').replaceAll('\n', '\r\n'), ['shell.remote-script:9']],
  ['a byte order mark', `\uFEFF${step('run: curl x | sh')}`, ['shell.remote-script:7']],
  ['a key twice', `${HEAD}permissions: write-all\njobs:\n  a:\n${JOB}`, ['file.unreadable:3']],
  ['a key twice in quotes', `${HEAD}"permissions": write-all\njobs:\n  a:\n${JOB}`, ['file.unreadable:3']],
  ['a key that is a list', `${HEAD}[a]: b\njobs:\n  a:\n${JOB}`, ['file.unreadable:3']],
  ['an alias without anchor', `${HEAD}jobs: *a\n`, ['file.unreadable:3']],
  ['an alias of itself', `${HEAD}jobs: &a\n  a: *a\n`, ['file.unreadable:4']],
  ['two documents', `${step('run: a')}---\n${step('run: a')}`, ['file.unreadable:1']],
  ['no jobs', 'on: push\n', ['file.unreadable:1']],
  ['no map', '- a\n', ['file.unreadable:1']],
  ['nothing', '', ['file.unreadable:1']],
  ['a tab as indentation', `${HEAD}jobs:\n\ta: b\n`, ['file.unreadable:4']],
];

it.each(FILES)('judges a workflow with %s', (_name, text, expected) => {
  expect(found(text)).toEqual(expected);
});

describe('an action', () => {
  const composite = (run: string): string =>
    `runs:\n  using: composite\n  steps:\n    - run: ${run}\n      shell: bash\n`;

  it('is judged by its steps', () => {
    expect(found(composite('echo ${{ github.head_ref }}'), 'a/action.yml')).toEqual(['workflow.injection:4']);
    expect(found(composite('curl x | sh'), 'action.yaml')).toEqual(['shell.remote-script:4']);
    expect(found(composite('echo ${{ inputs.a }}'), 'action.yml')).toEqual([]);
  });

  it('is judged by its image', () => {
    const image = (name: string): string => `runs:\n  using: docker\n  image: ${name}\n`;
    expect(found(image('docker://a:1'), 'action.yml')).toEqual(['workflow.action-unpinned:3']);
    expect([image('Dockerfile'), image(`docker://a@${DIGEST}`)].map((it) => found(it, 'action.yml'))).toEqual([[], []]);
  });

  it('is a finding when it cannot be read', () => {
    expect(found('runs: [', 'action.yml')).toEqual(['file.unreadable:1']);
  });
});
