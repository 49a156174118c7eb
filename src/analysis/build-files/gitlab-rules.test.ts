import { expect, it } from 'vitest';

import { judgeBuildFiles } from '../index.ts';

const DIGEST = `sha256:${'b'.repeat(64)}`;

function found(text: string): string[] {
  const files = [{ path: '.gitlab-ci.yml', bytes: Buffer.from(text) }];
  return judgeBuildFiles(files).findings.map(({ rule, line }) => `${rule}:${line}`);
}

/** Rule, its line, refused pipeline, its nearest accepted one. */
const CASES: readonly (readonly [rule: string, line: number, refused: string, accepted: string])[] = [
  ['gitlab.image-unpinned', 1, 'image: a:1', `image: a@${DIGEST}`],
  ['gitlab.image-unpinned', 2, 'default:\n  image: a', `default:\n  image: a:1@${DIGEST}`],
  ['gitlab.image-unpinned', 3, 'job:\n  image:\n    name: a:1', `job:\n  image:\n    name: a@${DIGEST}`],
  ['gitlab.image-unpinned', 2, 'job:\n  services: ["a:1"]', `job:\n  services: ["a@${DIGEST}"]`],
  ['gitlab.image-unpinned', 2, 'variables: { V: "1" }\nimage: a:$V', `variables: { V: "${DIGEST}" }\nimage: a@$V`],
  ['gitlab.image-unpinned', 1, 'image: $CI_REGISTRY_IMAGE/a', `image: $CI_REGISTRY_IMAGE/a@${DIGEST}`],
  ['shell.remote-script', 2, 'job:\n  script: curl x | sh', 'job:\n  script: curl x'],
  ['shell.remote-script', 4, 'job:\n  script:\n    - a\n    - curl x | sh', 'job:\n  script:\n    - curl x\n    - sh'],
  ['shell.remote-script', 2, 'job:\n  before_script: [[a, "curl x | sh"]]', 'job:\n  before_script: [[a, "curl x"]]'],
  [
    'shell.remote-script',
    4,
    'job:\n  after_script:\n    - |\n      curl x | sh',
    'job:\n  after_script:\n    - |\n      curl x',
  ],
  ['shell.remote-script', 2, '.hidden:\n  script: curl x | sh', '.hidden:\n  other: curl x | sh'],
  ['shell.remote-script', 1, 'before_script: ["curl x | sh"]', 'before_script: ["curl x"]'],
  [
    'shell.remote-script',
    2,
    'variables: { C: curl }\njob: { script: "$C x | sh" }',
    'variables: { C: cat }\njob: { script: "$C x | sh" }',
  ],
  [
    'shell.unverified-script',
    3,
    'job:\n  before_script: curl -o i x\n  script: sh i',
    'a:\n  script: curl -o i x\nb:\n  script: sh i',
  ],
  ['shell.verification-off', 1, 'job: { script: "wget --no-check-certificate x" }', 'job: { script: "wget x" }'],
  ['file.secret-setting', 2, 'variables:\n  DEPLOY_TOKEN: abc', 'variables:\n  DEPLOY_TOKEN: $OTHER'],
  [
    'file.secret-setting',
    3,
    'job:\n  variables:\n    DB_PASSWORD: { value: abc }',
    'job:\n  variables:\n    DB_PASSWORD: { description: abc }',
  ],
  ['gitlab.include-remote', 1, 'include: https://a.test/b.yml', 'include: /b.yml'],
  ['gitlab.include-remote', 2, 'include:\n  - remote: https://a.test/b.yml', 'include:\n  - local: /b.yml'],
  [
    'gitlab.include-remote',
    1,
    'include: { remote: "https://a.test/b.yml", integrity: "sha256-x" }',
    `include: { remote: "https://a.test/b.yml", integrity: "sha256-${'a'.repeat(43)}=" }`,
  ],
  [
    'gitlab.include-remote',
    3,
    'job:\n  trigger:\n    include: [{ remote: "https://a.test/b.yml" }]',
    'job:\n  trigger:\n    include: [{ local: /b.yml }]',
  ],
  ['file.unreadable', 2, 'a: 1\na: 2', 'a: 1\nb: 2'],
  ['file.unreadable', 1, '- a', 'a: []'],
];

it.each(CASES)('finds %s at line %d of %j', (rule, line, refused) => {
  expect(found(refused)).toEqual([`${rule}:${line}`]);
});

it.each(CASES.map(([rule, , , accepted]) => [rule, accepted] as const))('finds no %s in %j', (_rule, accepted) => {
  expect(found(accepted)).toEqual([]);
});

it('reads a pipeline behind its inputs, and tags that only GitLab knows', () => {
  expect(found('spec: { inputs: {} }\n---\njob:\n  script: !reference [.a, script]\n  image: a\n')).toEqual([
    'gitlab.image-unpinned:5',
  ]);
});
