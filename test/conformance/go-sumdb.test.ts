// A log as Go's checksum database: the unmodified go command takes it as GOSUMDB, and refuses what does not fit it.
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomInt } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makePublicLog, openGoSumLog } from '../../src/ledger/index.ts';
import { faultOfModule, parseEscapedModule } from '../../src/ledger/go-module.ts';
import { goSumServer } from '../../src/server/index.ts';
import { askGo, BUILD_MS_MAX, goTlog, type ProgramEnd, runProgram } from '../go-tools.ts';
import { findCommand, needs } from '../needs.ts';
import { seededRandom } from '../seeded-random.ts';

const ORIGIN = 'sum.provost.test/db';
const PATH = 'example.com/Capital/greet';
const TEST_MS_MAX = 300_000;
const GO_MS_MAX = 60_000;
/** More than fill a tile: the client asks for full and partial ones, and of two levels. */
const OTHER_RECORDS = 300;
const NAMES = 20_000;
const SEED = Number(process.env['PROVOST_TEST_SEED'] || randomInt(2 ** 31));

describe.skipIf(needs('go'))('the go command', () => {
  const dir = mkdtempSync(join(tmpdir(), 'provost-gosum-'));
  const at = (...names: string[]): string => join(dir, ...names);
  let tools: string;
  let logKey: string;
  let record: string;

  /** Writes the module's source, and puts it into the proxy in `proxy`; answers its record. */
  async function pack(proxy: string, version: string, greeting: string): Promise<string> {
    const source = mkdtempSync(at('source-'));
    writeFileSync(join(source, 'go.mod'), `module ${PATH}\n\ngo 1.21\n`);
    writeFileSync(join(source, 'greet.go'), `package greet\n\nfunc Word() string { return "${greeting}" }\n`);
    const [packed] = await askGo(tools, [{ do: 'pack', path: PATH, version, dir: source, proxy: at(proxy) }]);
    if (packed?.text === undefined) throw new Error(packed?.error);
    return packed.text;
  }

  /** Runs the unmodified go command in a module that needs ours, with a GOPATH of its own under `user`. */
  async function go(user: string, proxy: string, url: string, ...args: string[]): Promise<ProgramEnd> {
    const folder = at(user, 'main');
    if (!existsSync(folder)) {
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, 'go.mod'), `module example.com/main\n\ngo 1.21\n`);
      writeFileSync(
        join(folder, 'main.go'),
        `package main\n\nimport "${PATH}"\n\nfunc main() { println(greet.Word()) }\n`,
      );
    }
    const env = {
      GOPATH: at(user, 'go'),
      GOMODCACHE: at(user, 'go/pkg/mod'),
      GOCACHE: at('go-build'),
      GOPROXY: `file://${at(proxy)}`,
      GOSUMDB: `${logKey} ${url}`,
      GOFLAGS: '-mod=mod -modcacherw',
      GONOSUMDB: '',
      GONOSUMCHECK: '',
      GOPRIVATE: '',
      GOTOOLCHAIN: 'local',
      GOENV: 'off',
      GOWORK: 'off',
    };
    return runProgram({ command: findCommand('go') ?? '', args: ['-C', folder, ...args], env, timeoutMs: GO_MS_MAX });
  }

  const cached = (user: string, ...names: string[]): string =>
    at(user, 'go/pkg/mod/cache/download/sumdb', ORIGIN, ...names);

  /** Serves the log in a folder while `act` runs. */
  async function withServer<Result>(name: string, act: (url: string) => Promise<Result>): Promise<Result> {
    await using log = await openGoSumLog({ dir: at(name), witnesses: [], quorum: 0 });
    const server = goSumServer(log);
    try {
      return await act(await server.listen({ host: '127.0.0.1', port: 0 }));
    } finally {
      await server.close();
    }
  }

  async function add(url: string, text: string): Promise<{ readonly status: number; readonly text: string }> {
    const answer = await fetch(`${url}/add`, { method: 'POST', body: text });
    return { status: answer.status, text: await answer.text() };
  }

  const otherRecord = (n: number, hash = Buffer.alloc(32, n)): string => {
    const h1 = `h1:${hash.toString('base64')}`;
    return `example.com/other v1.${n}.0 ${h1}\nexample.com/other v1.${n}.0/go.mod ${h1}\n`;
  };

  beforeAll(async () => {
    tools = await goTlog();
    logKey = makePublicLog(at('log'), ORIGIN, 'gosum');
    record = await pack('proxy', 'v1.2.3', 'hello');
  }, BUILD_MS_MAX);

  afterAll(() => rmSync(dir, { recursive: true }));

  it(
    'takes a module that the log has a record of, and keeps our tiles',
    async () => {
      await withServer('log', async (url) => {
        const others = Array.from({ length: OTHER_RECORDS }, (_, n) => add(url, otherRecord(n)));
        expect((await Promise.all(others)).map(({ status }) => status)).toEqual(others.map(() => 200));
        expect(await add(url, record)).toEqual({ status: 200, text: `${OTHER_RECORDS}` });
        for (const command of [
          ['get', `${PATH}@v1.2.3`],
          ['mod', 'download', 'all'],
        ]) {
          const got = await go('one', 'proxy', url, ...command);
          expect(got.code, got.stderr).toBe(0);
        }
        const built = await go('one', 'proxy', url, 'build', '-o', at('program'), '.');
        expect(built.code, built.stderr).toBe(0);
        expect((await runProgram({ command: at('program'), args: [], timeoutMs: GO_MS_MAX })).stderr).toBe('hello\n');
      });
      expect(readFileSync(at('one/main/go.sum'), 'utf8')).toBe(record);
      expect(readFileSync(cached('one', 'tile/8/1/000.p/1'))).toEqual(readFileSync(at('log/served/tile/1/000.p/1')));
      const last = readdirSync(cached('one', 'tile/8/0/001.p'));
      expect(last).toEqual([`${OTHER_RECORDS + 1 - 256}`]);
      expect(readFileSync(cached('one', 'tile/8/0/001.p', last[0] ?? ''))).toEqual(
        readFileSync(at('log/served/tile/0/001.p', last[0] ?? '')),
      );
      const lookup = readFileSync(cached('one', 'lookup/example.com/!capital/greet@v1.2.3'), 'utf8');
      expect(lookup.startsWith(`${OTHER_RECORDS}\n${record}\ngo.sum database tree\n${OTHER_RECORDS + 1}\n`)).toBe(true);
      // What the same user saw before is under the tree that the log has now.
      await withServer('log', async (url) => {
        const text = await pack('proxy', 'v1.3.0', 'hello again');
        expect(await add(url, text)).toEqual({ status: 200, text: `${OTHER_RECORDS + 1}` });
        const got = await go('one', 'proxy', url, 'get', `${PATH}@v1.3.0`);
        expect(got.code, got.stderr).toBe(0);
      });
    },
    TEST_MS_MAX,
  );

  it(
    'refuses a module that was changed in the proxy, and one that the log has not',
    async () => {
      await pack('changed', 'v1.2.3', 'hello, and worse');
      await pack('changed', 'v1.4.0', 'never logged');
      await withServer('log', async (url) => {
        const changed = await go('two', 'changed', url, 'get', `${PATH}@v1.2.3`);
        expect(changed.code).not.toBe(0);
        expect(changed.stderr).toContain('SECURITY ERROR');
        expect(changed.stderr).toContain('checksum mismatch');
        const unknown = await go('two', 'changed', url, 'get', `${PATH}@v1.4.0`);
        expect(unknown.code).not.toBe(0);
        expect(unknown.stderr).toContain(`there is no record of ${PATH}@v1.4.0 (LEDGER_NO_RECORD)`);
      });
    },
    TEST_MS_MAX,
  );

  it(
    'refuses a log with a changed record',
    async () => {
      cpSync(at('log'), at('lying'), { recursive: true });
      // The record of the changed module, under the tree of the true one.
      const lie = await pack('changed', 'v1.2.3', 'hello, and worse');
      const bundle = readFileSync(at('lying/served/tile/entries/001.p/46'));
      const start = bundle.indexOf(record);
      expect([start > 0, lie.length]).toEqual([true, record.length]);
      bundle.write(lie, start);
      writeFileSync(at('lying/served/tile/entries/001.p/46'), bundle);
      await withServer('lying', async (url) => {
        expect(await (await fetch(`${url}/lookup/example.com/!capital/greet@v1.2.3`)).text()).toContain(lie);
        const refused = await go('three', 'changed', url, 'get', `${PATH}@v1.2.3`);
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain('cannot authenticate record data in server response');
      });
    },
    TEST_MS_MAX,
  );

  /** A log with the key of the first, and records of its own. */
  async function sibling(name: string, count: number, fill: string): Promise<void> {
    makePublicLog(at(name), ORIGIN, 'gosum');
    for (const file of ['key', 'key.pub']) cpSync(at('log', file), at(name, file));
    await withServer(name, async (url) => {
      for (let n = 0; n < count; n += 1) await add(url, otherRecord(n, Buffer.alloc(32, fill)));
    });
  }

  it(
    'refuses a log that forked, also where it can prove it',
    async () => {
      const next = await pack('proxy', 'v1.5.0', 'hello from a fork');
      const get = (user: string, url: string, version: string): Promise<ProgramEnd> =>
        go(user, 'proxy', url, 'get', `${PATH}@${version}`);
      // Tiles that it kept are not those of the fork.
      await sibling('forked', OTHER_RECORDS + 10, 'b');
      await withServer('forked', async (url) => {
        await add(url, next);
        const refused = await get('one', url, 'v1.5.0');
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain('downloaded inconsistent tile');
      });
      // With no full tile the fork gives it the hashes that prove it.
      await sibling('small', 2, 'a');
      await sibling('small-fork', 3, 'b');
      await withServer('small', async (url) => {
        await add(url, record);
        expect((await get('four', url, 'v1.2.3')).code).toBe(0);
      });
      await withServer('small-fork', async (url) => {
        await add(url, next);
        const refused = await get('four', url, 'v1.5.0');
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain('SECURITY ERROR');
        expect(refused.stderr).toContain('proof of mis');
      });
    },
    TEST_MS_MAX,
  );

  it(
    `agrees on ${NAMES} names which module and version are canonical, and how a URL has them`,
    async () => {
      const random = seededRandom(SEED);
      const names = Array.from({ length: NAMES }, () => randomName(random));
      const theirs = await askGo(
        tools,
        names.map((name) => ({ do: 'module', ...name })),
      );
      const accepted = theirs.filter(({ error }) => error === undefined);
      expect(accepted.length, `seed ${SEED}`).toBeGreaterThan(NAMES / 50);
      for (const [n, name] of names.entries()) {
        const { error, text = '' } = theirs[n] ?? {};
        const said = `seed ${SEED}: ${JSON.stringify(name)}: ${error}`;
        expect(faultOfModule(name) === null, said).toBe(error === undefined);
        if (error === undefined) expect(parseEscapedModule(text), said).toEqual(name);
      }
    },
    TEST_MS_MAX,
  );
});

const PATH_PARTS = [
  ...[
    'example.com',
    'Example.com',
    'gopkg.in',
    'localhost',
    '-x.com',
    'a.b.c',
    'com.',
    '.x',
    'x~1',
    'x~a',
    '~1',
    'CON',
    'con.x',
  ],
  ...[
    'com1',
    'lpt0',
    'v1',
    'v2',
    'v10',
    'v02',
    'v2.1',
    'v',
    'yaml.v2',
    'yaml.v0',
    'yaml.v1',
    'x.v02',
    '.v1',
    'yaml.v1-unstable',
  ],
  ...[
    'x.v3-unstable',
    'Capital',
    'a_b',
    'a+b',
    'a b',
    'é',
    '',
    '..',
    'a..b',
    'a!b',
    'x@y',
    'nul~1.x',
    'v1.',
    'v2-unstable',
    '2',
    'yv2',
  ],
];
const MAJORS = ['v0', 'v1', 'v2', 'v3', 'v10', 'v01', 'v', '1', 'v-1'];
const ENDS = [
  ...[
    '',
    '',
    '',
    '-rc.1',
    '-0.20200101000000-abcdefabcdef',
    '-20161208181325-20d25e280405',
    '-01',
    '-0a',
    '-a..b',
    '-',
    '-é',
    '-A.00x',
  ],
  ...[
    '+incompatible',
    '+build',
    '-rc1+incompatible',
    '+',
    '-x+incompatible.1',
    '-00',
    '-a.0.b',
    '-1.02',
    '--',
    '/go.mod',
    ' ',
  ],
];

function randomName(random: () => number): { readonly path: string; readonly version: string } {
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? '';
  // A good beginning often enough that the rest decides.
  const first = random() < 0.7 ? pick(['example.com', 'gopkg.in', 'a.b.c']) : pick(PATH_PARTS);
  const parts = Array.from({ length: Math.floor(random() * 4) }, () => (random() < 0.4 ? 'ok' : pick(PATH_PARTS)));
  const numbers = random() < 0.8 ? pick(['.0.0', '.2.3', '.10.0']) : pick(['.0', '', '.00.1', '.1.2.3', '.x.0']);
  return { path: [first, ...parts].join('/'), version: `${pick(MAJORS)}${numbers}${pick(ENDS)}` };
}
