// The supervisor as programs and administrators meet it: serve, HTTP with and without a token, event streams, and who may do what.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeLayout } from '../../src/api/index.ts';
import { digestOf, hexOf, parseDigest } from '../../src/artifact/index.ts';
import { Client } from '../../src/cli/client.ts';
import { makeKeyPair, signerOf } from '../../src/provenance/ed25519.ts';
import { attest, RELEASE_TYPE } from '../../src/provenance/index.ts';
import { writeBusyboxImage } from '../busybox-image.ts';
import { freePort, openTestHome, type TestHome, until } from '../home-fixture.ts';
import { needs } from '../needs.ts';
import { PROJECT_FOLDER } from '../source/source-file.ts';

const PROVOST = join(PROJECT_FOLDER, 'bin/provost');
const TOKEN = 'a-token-of-some-length';

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'busybox'))('provost serve', () => {
  let home: TestHome;
  let image: string;
  let port: number;
  let serving: ChildProcess;

  beforeAll(async () => {
    home = openTestHome();
    writeBusyboxImage({ dir: join(home.dir, 'image') });
    image = `oci:${join(home.dir, 'image')}`;
    port = await freePort();
    writeFileSync(join(home.dir, 'token'), `${TOKEN}\n`);
    serving = spawn(PROVOST, ['serve', '--listen', `127.0.0.1:${port}`, '--token-file', join(home.dir, 'token')], {
      env: { ...process.env, PROVOST_HOME: home.dir },
      stdio: 'ignore',
    });
    await until('it serves', () => existsSync(join(home.dir, 'provost.pid')));
    for (const command of [
      ['key', 'generate', 'ci'],
      ['key', 'trust', 'ci'],
      ['attest', image, '--key', 'ci'],
    ])
      await home.ok(...command);
  });

  afterAll(async () => {
    await home[Symbol.asyncDispose]();
    await until('serve has left', () => serving.exitCode !== null);
  });

  const call = (
    path: string,
    headers: Record<string, string> = { authorization: `Bearer ${TOKEN}` },
  ): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`, { headers, signal: AbortSignal.timeout(10_000) });

  it('wants its token over TCP, but for whether it is alive', async () => {
    expect((await call('/healthz', {})).status).toBe(200);
    expect((await call('/readyz', {})).status).toBe(200);
    for (const authorization of ['', 'Bearer wrong', `Bearer ${TOKEN}x`, TOKEN]) {
      const reply = await call('/v1/workloads', { authorization });
      expect(reply.status).toBe(401);
      expect(await reply.json()).toMatchObject({ error: { code: 'SERVER_TOKEN', exit: 7 } });
    }
    expect(await (await call('/v1/workloads')).json()).toEqual([]);
  });

  it('answers each route that its OpenAPI document lists, and no other', async () => {
    const document = (await (await call('/openapi.json')).json()) as {
      openapi: string;
      paths: Record<string, Record<string, unknown>>;
    };
    expect(document.openapi).toBe('3.1.0');
    const plain = Object.entries(document.paths).filter(
      ([path, methods]) => !path.includes('{') && 'get' in methods && path !== '/v1/events',
    );
    for (const [path] of plain) expect([path, (await call(path)).status]).not.toEqual([path, 404]);
    const reply = await call('/v1/nothing');
    expect([reply.status, await reply.json()]).toMatchObject([400, { error: { code: 'SERVER_NO_ROUTE' } }]);
  });

  it('shows policy and metrics', async () => {
    expect(await (await call('/v1/policy')).text()).toContain('highAbove: 0.8');
    expect(await (await call('/metrics')).text()).toMatch(/^provost_journal_entries \d+$/m);
  });

  it('refuses a body that is not as the schemas say, or too large', async () => {
    const post = (body: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/v1/keys`, {
        method: 'POST',
        body,
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
      });
    for (const body of ['{"do":"generate"}', 'not json']) {
      const reply = await post(body);
      expect(reply.status).toBe(400);
      expect(await reply.json()).toMatchObject({ error: { code: 'SERVER_REQUEST', exit: 2 } });
    }
    expect(await statusOfAnnounced(9 * 2 ** 20)).toBe(400);
  });

  /** The status of the reply to a body that is announced and never sent: its size alone is answered. */
  function statusOfAnnounced(bytes: number): Promise<number | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<number | undefined>();
    const asked = request(`http://127.0.0.1:${port}/v1/keys`, {
      method: 'POST',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', 'content-length': bytes },
    });
    asked.once('error', reject).once('response', (reply) => {
      resolve(reply.statusCode);
      asked.destroy();
    });
    asked.flushHeaders();
    return promise;
  }

  it('streams events, and goes on after the last one that was seen', async () => {
    await home.ok('run', '-d', '--name', 'seen', image);
    await home.ok('rm', '-f', 'seen');
    const all = await firstEvents('0', 3);
    expect(all.map(({ event }) => event)).toEqual(['admitted', 'started', 'exited']);
    const [first] = all;
    const rest = await firstEvents(String(first?.id), 2);
    expect(rest).toEqual(all.slice(1));
  });

  /** The first kept events of the workload after an id, by Last-Event-ID. */
  async function firstEvents(lastId: string, count: number): Promise<{ id: number; event: string }[]> {
    const reply = await call('/v1/events?workload=seen', { authorization: `Bearer ${TOKEN}`, 'last-event-id': lastId });
    const found: { id: number; event: string }[] = [];
    let text = '';
    for await (const chunk of reply.body ?? []) {
      text += Buffer.from(chunk).toString('utf8');
      found.length = 0;
      for (const [, id, event] of text.matchAll(/^id: (\d+)\nevent: (\w+)$/gm))
        if (event !== 'window' && event !== 'progress') found.push({ id: Number(id), event: event ?? '' });
      if (found.length >= count) return found.slice(0, count);
    }
    return found;
  }

  it('takes an envelope that a trusted key signed into its log, once, and judges what runs anew', async () => {
    writeBusyboxImage({ dir: join(home.dir, 'unsigned'), mark: 'unsigned' });
    await home.ok('run', '-d', '--name', 'judged', `oci:${join(home.dir, 'unsigned')}`);
    const before = await home.inspect('judged');
    const { publicKey, privatePem } = makeKeyPair();
    const pem = join(home.dir, 'vendor.pem');
    writeFileSync(pem, publicKey.object.export({ type: 'spki', format: 'pem' }));
    const digest = parseDigest(before.artifact.digest);
    const { bytes } = attest({
      subjects: [{ name: 'judged', digest }],
      predicateType: RELEASE_TYPE,
      predicate: {},
      signer: signerOf(privatePem),
      issuer: 'vendor',
    });
    const add = async (headers: Record<string, string>): Promise<[number, unknown]> => {
      const url = `http://127.0.0.1:${port}/log/add`;
      const reply = await fetch(url, { method: 'POST', body: new Uint8Array(bytes), headers });
      return [reply.status, await (headers['accept'] === undefined ? reply.text() : reply.json())];
    };
    const wanted = { authorization: `Bearer ${TOKEN}`, accept: 'application/json' };
    expect(await add({ accept: 'application/json' })).toMatchObject([401, { error: { code: 'SERVER_TOKEN' } }]);
    expect(await add(wanted)).toMatchObject([403, { error: { code: 'PROVENANCE_UNTRUSTED', exit: 3 } }]);
    const folder = join(home.dir, 'attestations', digest.slice('sha256:'.length));
    // The home's own word that it started is there beside.
    const kept = (hex: string): string[] =>
      existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith(hex)) : [];
    expect(kept(hexOf(digestOf(bytes)))).toEqual([]);
    await home.ok('key', 'trust', pem, '--name', 'vendor');
    const [status, logged] = await add(wanted);
    expect([status, logged]).toMatchObject([200, { predicateType: RELEASE_TYPE }]);
    const { logIndex, envelopeDigest } = logged as { logIndex: number; envelopeDigest: string };
    const hex = envelopeDigest.slice('sha256:'.length);
    expect(kept(hex)).toEqual([`${hex}-${logIndex}.json`]);
    const after = await home.inspect('judged');
    expect(after.score).toBeGreaterThan(before.score);
    expect(await Promise.all([add(wanted), add({ authorization: `Bearer ${TOKEN}` })])).toEqual([
      [200, logged],
      [200, String(logIndex)],
    ]);
    expect(await home.ok('verify', `oci:${join(home.dir, 'unsigned')}`)).toContain('vendor');
    await home.ok('log', 'verify');
    await home.ok('rm', '-f', 'judged');
  });

  it('is the only one of its home', async () => {
    const second = await home.provost(['serve']);
    expect(second).toMatchObject({ code: 6, stdout: '' });
    expect(second.stderr).toContain('SERVER_RUNNING');
    expect(second.stderr).toContain(String(home.supervisorPid()));
  });

  it('says that its address is taken', async () => {
    const other = mkdtempSync(join(tmpdir(), 'provost-other-'));
    try {
      const args = ['serve', '--listen', `127.0.0.1:${port}`, '--token-file', join(home.dir, 'token')];
      const { status, stderr } = spawnSync(PROVOST, args, {
        env: { ...process.env, PROVOST_HOME: other },
        encoding: 'utf8',
        timeout: 30_000,
      });
      expect(stderr).toContain('SERVER_LISTEN');
      expect(status).toBe(6);
      const id = readFileSync(join(other, 'id'), 'utf8').trim();
      const tables = spawnSync('nft', ['list', 'tables'], { encoding: 'utf8' }).stdout;
      expect(tables.split('\n').filter((line) => line.includes(id))).toEqual([]);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });
});

describe.skipIf(needs('root'))('a command', () => {
  /** Seen at a place that everybody may enter, wherever the project lies; the mount ends with the command. */
  const AS_NOBODY = `set -e
    mount --bind "$0" /mnt
    cd /mnt
    exec setpriv --reuid 65534 --regid 65534 --clear-groups bin/provost "$@"`;
  const nobodyArgv = (args: readonly string[]): string[] => ['--mount', 'sh', '-c', AS_NOBODY, PROJECT_FOLDER, ...args];
  const asNobody = (
    home: string,
    ...args: readonly string[]
  ): { status: number | null; stderr: string; stdout: string } =>
    spawnSync('unshare', nobodyArgv(args), {
      env: { ...process.env, PROVOST_HOME: home, HOME: '/' },
      encoding: 'utf8',
      timeout: 30_000,
    });

  it('that needs a supervisor wants root, one that only reads does not', () => {
    const home = mkdtempSync(join(tmpdir(), 'provost-user-'));
    chmodSync(home, 0o777);
    try {
      expect(asNobody(home, 'run', '--rootfs', '/', '--', 'true')).toMatchObject({
        status: 7,
        stderr: expect.stringContaining('CLI_NOT_ROOT'),
      });
      expect(asNobody(home, 'policy', 'check', 'policies/default.yaml').status).toBe(0);
      expect(asNobody(home, 'replay').status).toBe(0);
      expect(asNobody(home, 'doctor').stdout).toContain('root');
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  it('is told when the socket is not for its user', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'provost-socket-'));
    const server = createServer((_, reply) => reply.end('{}'));
    try {
      chmodSync(dir, 0o755);
      await new Promise<void>((resolve) => server.listen(homeLayout(dir).socket, resolve));
      chmodSync(homeLayout(dir).socket, 0o600);
      const child = spawn('unshare', nobodyArgv(['ps']), {
        env: { ...process.env, PROVOST_HOME: dir, HOME: '/' },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (bytes: Buffer) => (stderr += bytes.toString('utf8')));
      const code = await new Promise((resolve) => child.once('close', resolve));
      expect([code, stderr]).toEqual([7, expect.stringContaining('CLI_NO_ACCESS')]);
    } finally {
      server.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });

  it('says why the supervisor does not come up, and leaves none', () => {
    const home = mkdtempSync(join(tmpdir(), 'provost-broken-'));
    try {
      const text = readFileSync(join(PROJECT_FOLDER, 'policies/default.yaml'), 'utf8');
      writeFileSync(join(home, 'policy.yaml'), text.replace('raiseMargin', 'raiseMargni'));
      const { status, stderr } = spawnSync(PROVOST, ['ps'], {
        env: { ...process.env, PROVOST_HOME: home },
        encoding: 'utf8',
      });
      expect(stderr).toContain('CLI_NO_SUPERVISOR');
      expect(stderr).toContain('POLICY_');
      expect(status).toBe(6);
      expect(existsSync(join(home, 'guard.pid'))).toBe(false);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  it.each([
    ['a file in its place', (home: string) => writeFileSync(home, '')],
    [
      'an id that is none',
      (home: string) => {
        mkdirSync(home);
        writeFileSync(join(home, 'id'), 'x');
      },
    ],
  ])('refuses a state folder with %s', (_name, prepare) => {
    const parent = mkdtempSync(join(tmpdir(), 'provost-home-error-'));
    try {
      const home = join(parent, 'home');
      prepare(home);
      const { status, stderr } = spawnSync(PROVOST, ['key', 'generate', 'x'], {
        env: { ...process.env, PROVOST_HOME: home },
        encoding: 'utf8',
      });
      expect([status, stderr]).toEqual([6, expect.stringContaining('ENGINE_HOME')]);
    } finally {
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it('reads no more of a reply than it may hold', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'provost-reply-'));
    const chunk = Buffer.alloc(2 ** 20, ' ');
    const server = createServer((_, reply) => {
      const write = (): void => void (reply.destroyed || reply.write(chunk, write));
      write();
    });
    try {
      const { socket } = homeLayout(dir);
      await new Promise<void>((resolve) => server.listen(socket, resolve));
      await expect(new Client(socket).call({ method: 'GET', path: '/' })).rejects.toMatchObject({ code: 'CLI_REPLY' });
    } finally {
      server.closeAllConnections();
      server.close();
      rmSync(dir, { recursive: true, force: true });
    }
  });
});

describe.skipIf(needs('root', 'runc', 'conmon', 'nft', 'busybox'))('provost replay', () => {
  it('recomputes every decision, and notices a document that was changed', async () => {
    await using home = openTestHome();
    await home.ok('run', '-d', '--name', 'one', '--rootfs', '/', '--', 'sleep', '1000');
    await home.ok('rm', '-f', 'one');
    expect(await home.ok('replay')).toMatch(/^[1-9]\d* decisions replayed, 0 differ\n$/);
    const [line = ''] = (await home.ok('replay', '--workload', 'one', '--json')).split('\n');
    expect(JSON.parse(line)).toMatchObject({ workload: 'one', same: true, differences: [] });
    const grepped = spawnSync('grep', ['-rl', '"outcome"', join(home.dir, 'content')], { encoding: 'utf8' })
      .stdout.trim()
      .split('\n');
    const [document = ''] = grepped;
    const text = readFileSync(document, 'utf8');
    chmodSync(document, 0o600);
    writeFileSync(document, text.replace('"enforce"', '"observe"'));
    const replayed = await home.provost(['replay']);
    expect([replayed.code, replayed.stderr]).toEqual([4, expect.stringContaining('ENGINE_REPLAY')]);
  });
});
