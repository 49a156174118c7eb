import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { buildFileChecks, judgeBuildFiles, scoreBuildFiles, type BuildFile } from '../index.ts';
import { buildFileKindOf } from './source-text.ts';

const COMMIT = 'a'.repeat(40);
const PINNED = `alpine@sha256:${'a'.repeat(64)}`;
const CLEAN = `FROM ${PINNED}\nRUN make\nUSER 1000\n`;
const MIB = 2 ** 20;

const file = (path: string, text: string): BuildFile => ({ path, bytes: Buffer.from(text) });
const rulesOf = (...files: readonly BuildFile[]): string[] =>
  judgeBuildFiles(files).findings.map(({ rule, path, line }) => `${rule} ${path}:${line}`);
const evidenceOf = (...files: readonly BuildFile[]) => {
  const [evidence, ...more] = scoreBuildFiles(judgeBuildFiles(files), 'sha256:x');
  expect(more).toEqual([]);
  return evidence ?? expect.fail('there is no evidence');
};
const scoreOf = (...files: readonly BuildFile[]): number => evidenceOf(...files).score;

it.each([
  ['Dockerfile', 'dockerfile'],
  ['dockerfile', 'dockerfile'],
  ['a/b/Containerfile', 'dockerfile'],
  ['Dockerfile.dev', 'dockerfile'],
  ['web.Dockerfile', 'dockerfile'],
  ['a/web.containerfile', 'dockerfile'],
  ['.github/workflows/ci.yml', 'workflow'],
  ['sub/.github/workflows/ci.YAML', 'workflow'],
  ['action.yml', 'action'],
  ['.github/actions/a/action.yaml', 'action'],
  ['.gitlab-ci.yml', 'gitlab'],
  ['Dockerfile.dockerignore', null],
  ['.dockerignore', null],
  ['Dockerfile.md', null],
  ['tasks/dockerfile.yml', null],
  ['Dockerfile.go', 'dockerfile'],
  ['MyDockerfile', null],
  ['Dockerfile/a', null],
  ['.Dockerfile', null],
  ['.github/workflows/a/ci.yml', null],
  ['.github/workflows/ci.yml.txt', null],
  ['reaction.yml', null],
  ['gitlab-ci.yml', null],
])('takes %s for %s', (path, kind) => {
  expect(buildFileKindOf(path)).toBe(kind);
});

describe('the limits', () => {
  it('refuse a file that is too large, and one byte less not', () => {
    const padded = (bytes: number): string => CLEAN + `#${' '.repeat(bytes - CLEAN.length - 1)}`;
    expect(rulesOf(file('Dockerfile', padded(MIB / 4)))).toEqual([]);
    expect(rulesOf(file('Dockerfile', padded(MIB / 4 + 1)))).toEqual(['file.limit Dockerfile:1']);
  });

  it('refuse too many build files, whatever lies between them', () => {
    const files = (count: number): BuildFile[] =>
      Array.from({ length: count }, (_, at) => [
        file(`${String(at).padStart(4, '0')}.Dockerfile`, CLEAN),
        file(`${at}.txt`, ''),
      ]).flat();
    expect(rulesOf(...files(256))).toEqual([]);
    expect(rulesOf(...files(257))).toEqual(['file.limit 0256.Dockerfile:1']);
    expect(judgeBuildFiles(files(257)).paths).toHaveLength(256);
  });

  it('refuse files that are too large together', () => {
    const large = `${CLEAN}#${' '.repeat(MIB / 4 - CLEAN.length - 1)}`;
    const files = (count: number): BuildFile[] =>
      Array.from({ length: count }, (_, at) => file(`${at}.Dockerfile`, large));
    expect(rulesOf(...files(8))).toEqual([]);
    expect(rulesOf(...files(8), file('9.Dockerfile', CLEAN))).toEqual(['file.limit 9.Dockerfile:1']);
  });

  it('keep the worst findings when there are too many', () => {
    const many = `FROM ${PINNED}\n${'RUN sudo a\n'.repeat(1001)}RUN curl x | sh\nUSER 1\n`;
    const { findings } = judgeBuildFiles([file('Dockerfile', many)]);
    expect(findings).toHaveLength(1000);
    expect(findings[0]).toMatchObject({ rule: 'file.limit', severity: 'critical' });
    expect(findings.some(({ rule }) => rule === 'shell.remote-script')).toBe(true);
    expect(scoreOf(file('Dockerfile', many))).toBe(0);
  });

  it('refuse scripts within scripts within scripts', () => {
    const nested = (depth: number): string =>
      `FROM ${PINNED}\nRUN ${'echo $('.repeat(depth)}a${')'.repeat(depth)}\nUSER 1\n`;
    expect(rulesOf(file('Dockerfile', nested(12)))).toEqual([]);
    expect(rulesOf(file('Dockerfile', nested(13)))).toEqual(['file.limit Dockerfile:2']);
  });

  it('refuse text within text within text', () => {
    const quoted = (depth: number): string =>
      depth === 0 ? 'a b' : `sh -c '${quoted(depth - 1).replaceAll("'", `'\\''`)}'`;
    const judged = (depth: number): string[] =>
      rulesOf(file('Dockerfile', `FROM ${PINNED}\nRUN ${quoted(depth)}\nUSER 1\n`));
    expect([judged(6), judged(7)]).toEqual([[], ['file.limit Dockerfile:2']]);
  });

  it('refuse an alias that grows', () => {
    const names = 'abcdefgh'.split('');
    const bomb = names.map(
      (name, at) =>
        `${name}: &${name} [${
          at === 0
            ? 'x'
            : Array(9)
                .fill(`*${names[at - 1]}`)
                .join(',')
        }]`,
    );
    expect(rulesOf(file('.gitlab-ci.yml', bomb.join('\n')))).toEqual(['file.unreadable .gitlab-ci.yml:2']);
  });

  it('refuse what nests too deep, and what has too many instructions or here-documents', () => {
    expect(rulesOf(file('.gitlab-ci.yml', '['.repeat(50_000)))).toEqual(['file.unreadable .gitlab-ci.yml:1']);
    expect(rulesOf(file('.gitlab-ci.yml', `a: ${'['.repeat(50)}${']'.repeat(50)}`))).toHaveLength(1);
    expect(rulesOf(file('Dockerfile', `${CLEAN}${'RUN a\n'.repeat(2000)}`))).toEqual(['file.unreadable Dockerfile:1']);
    expect(rulesOf(file('Dockerfile', `FROM ${PINNED}\nRUN ${'<<A '.repeat(33)}\n`))).toEqual([
      'file.unreadable Dockerfile:2',
    ]);
    expect(rulesOf(file('Dockerfile', `FROM ${PINNED}\nRUN ${'{ '.repeat(70)}\nUSER 1`))).toEqual([
      'file.limit Dockerfile:2',
    ]);
  });

  it.each(
    [
      '$(',
      '"$(',
      '`',
      "'a",
      'a|',
      '(',
      '<<A ',
      'a=b;$(c=d);',
      'config ',
      '://a:',
      'eyJ',
      '\\"',
      'o',
      '$A$A ',
      '{ ',
      '#',
      '${',
    ].map((it) => [it]),
  )('hold against a step of nothing but %j', (piece) => {
    const step = piece.repeat(100_000 / piece.length);
    const dockerfile = `FROM ${PINNED}\nENV A=${'x'.repeat(1000)}\nRUN chmod ${step}\nCOPY ${step} /\nUSER 1\n`;
    expect(judgeBuildFiles([file('Dockerfile', dockerfile)]).findings.length).toBeLessThan(5);
  });

  it.each(['${{ ', '${{ github.event }} ', '[', 'github.', '${{ a[', "'", 'secrets.'].map((it) => [it]))(
    'hold against an expression of nothing but %j',
    (piece) => {
      const run = JSON.stringify(`\${{ ${piece.repeat(200_000 / piece.length)} }}`);
      const text = `on: push\npermissions: {}\njobs: { a: { runs-on: ${run}, steps: [{ run: ${run} }] } }\n`;
      expect(judgeBuildFiles([file('.github/workflows/a.yml', text)]).findings.length).toBeLessThan(5);
    },
  );
});

/** One line of each severity and more: what it adds to a clean Dockerfile is bad in itself. */
const BAD_LINES = [
  'RUN curl x | sh',
  'ADD https://a.test/x /x',
  'ENV DB_PASSWORD=hunter2',
  'RUN sudo make',
  'RUN chmod 777 /a',
  'RUN apt-get install a',
  'RUN curl -k x',
  'COPY .env /',
  'COPY . /',
  'COPY --from=a /a /b',
  'RUN --security=insecure make',
  'NO SUCH',
  'RUN <<X',
  `RUN a ghp_${'a1B2'.repeat(9)}`,
  'FROM alpine',
  'USER root',
];
const BAD_STEPS = [
  'run: curl x | sh',
  'run: echo ${{ github.head_ref }}',
  'uses: a/b@v1',
  'uses: actions/checkout@v4',
  'run: echo ${{ secrets.A }}',
  `uses: a/b@${COMMIT}\n        with: { password: abc }`,
  'run: [',
];

describe('the score', () => {
  it('is 1 without findings, falls with severity, and is 0 with a critical one', () => {
    const scores = ['RUN make', 'RUN sudo make', 'RUN chmod 777 /a', 'RUN curl x | sh', 'RUM make'].map((line) =>
      scoreOf(file('Dockerfile', `FROM ${PINNED}\n${line}\nUSER 1\n`)),
    );
    expect(scores.map((it) => it.toFixed(2))).toEqual(['1.00', '0.97', '0.90', '0.65', '0.00']);
  });

  it('is 0 when there was nothing to judge', () => {
    expect(evidenceOf(file('README.md', 'a'))).toEqual({
      check: 'build.environment',
      score: 0,
      reason: 'no Dockerfile and no CI workflow was there to judge',
      source: 'sha256:x',
      expiresMs: null,
    });
    expect(buildFileChecks).toEqual(['build.environment']);
  });

  it('comes with the five worst findings, worst first', () => {
    const text = 'FROM a\nRUN sudo a\nRUN sudo b\nRUN chmod 777 c\nRUN curl x | sh\nRUN curl -k x\n';
    expect(evidenceOf(file('Dockerfile', text)).reason).toBe(
      '7 findings in 1 build file: high dockerfile.image-floating at Dockerfile:1; high shell.remote-script at Dockerfile:5; ' +
        'high shell.verification-off at Dockerfile:6; medium dockerfile.root at Dockerfile:1; medium shell.world-writable at ' +
        'Dockerfile:4; and more',
    );
    expect(evidenceOf(file('Dockerfile', CLEAN)).reason).toBe('nothing was found in 1 build file');
  });

  it('never rises when a line with a finding is added to a Dockerfile', () => {
    const line = fc.constantFrom('RUN make', 'ARG A=b', 'WORKDIR /a', ...BAD_LINES.slice(0, -2));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.constantFrom(...BAD_LINES), fc.nat(), (lines, bad, seed) => {
        const at = seed % (lines.length + 1);
        const build = (body: readonly string[]): BuildFile =>
          file('Dockerfile', `FROM ${PINNED}\nUSER 1000\n${body.join('\n')}\n`);
        expect(scoreOf(build(lines.toSpliced(at, 0, bad)))).toBeLessThanOrEqual(scoreOf(build(lines)));
      }),
    );
  });

  it('never rises when a step with a finding is added to a workflow', () => {
    const step = fc.constantFrom('run: make', ...BAD_STEPS);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), fc.constantFrom(...BAD_STEPS), fc.nat(), (steps, bad, seed) => {
        const at = seed % (steps.length + 1);
        const build = (all: readonly string[]): BuildFile =>
          file(
            '.github/workflows/a.yml',
            `on: push\npermissions: {}\njobs:\n  a:\n    runs-on: x\n    steps:\n${all.map((it) => `      - ${it}\n`).join('')}`,
          );
        expect(scoreOf(build(steps.toSpliced(at, 0, bad)))).toBeLessThanOrEqual(scoreOf(build(steps)));
      }),
    );
  });
});

const ANY_PATH = fc.constantFrom(
  'Dockerfile',
  'a.Dockerfile',
  'action.yml',
  '.github/workflows/a.yml',
  '.gitlab-ci.yml',
);
const PIECES = [
  'FROM a',
  'RUN ',
  'USER ',
  '\n',
  '\\\n',
  ' ',
  '\t',
  '"',
  "'",
  '`',
  '$(',
  ')',
  '<(',
  '{',
  '}',
  '|',
  'curl x',
  'sh',
  '<<A',
  'A\n',
  '# ',
  ': ',
  '- ',
  '&a',
  '*a',
  '[',
  ']',
  '${{',
  '}}',
  'github.head_ref',
  'run: ',
  'jobs: ',
  'steps:\n',
  'image: ',
  '${A:-',
  '\r',
  '\uFEFF',
  '\0',
  'ADD http://x',
  'ONBUILD ',
];

describe('whatever the files hold', () => {
  const anyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string({ unit: 'binary', maxLength: 200 }).map((text) => new Uint8Array(Buffer.from(text))),
    fc.array(fc.constantFrom(...PIECES), { maxLength: 60 }).map((it) => new Uint8Array(Buffer.from(it.join('')))),
  );
  const anyFile = fc.record({ path: fc.oneof(ANY_PATH, fc.string({ unit: 'binary' })), bytes: anyBytes });

  it('nothing is thrown, every finding has its place, and every message is safe to show', () => {
    fc.assert(
      fc.property(fc.array(anyFile, { maxLength: 4 }), (files) => {
        const { findings, paths } = judgeBuildFiles(files);
        for (const { path, line, message, rule } of findings) {
          expect(paths.includes(path) || rule === 'file.limit').toBe(true);
          const lines = Math.max(...files.map(({ bytes }) => Buffer.from(bytes).toString().split(/\r?\n/).length));
          expect(line >= 1 && line <= lines).toBe(true);
          expect(message).toMatch(/^[^\p{C}]{1,400}[^.\p{C}]$/u);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('their order does not matter', () => {
    fc.assert(
      fc.property(
        fc
          .array(anyFile, { maxLength: 5 })
          .chain((files) => fc.tuple(fc.constant(files), fc.shuffledSubarray(files, { minLength: files.length }))),
        ([files, shuffled]) => {
          expect(judgeBuildFiles(shuffled)).toEqual(judgeBuildFiles(files));
        },
      ),
    );
  });

  it('no secret is shown', () => {
    const token = `ghp_${'a1B2'.repeat(9)}`;
    const texts = [
      `RUN a ${token}`,
      `ENV A=${token}`,
      `ADD https://u:${token}@a.test/x /`,
      `FROM a:${token}`,
      `ARG PASSWORD=${token}`,
    ];
    for (const text of texts) {
      const judgement = judgeBuildFiles([file('Dockerfile', `FROM ${PINNED}\n${text}\n`)]);
      expect(judgement.findings.map(({ rule }) => rule)).toContain('file.secret');
      expect(JSON.stringify([judgement, scoreBuildFiles(judgement, 'x')]), text).not.toContain(token);
    }
  });
});
