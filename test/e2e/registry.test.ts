// Pulls from a real registry on loopback: Debian's docker-registry, open and with a password; and from small servers that
// ask for tokens, redirect, fail for a while, and lie.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import {
  type Artifact,
  type ContentStore,
  digestOf,
  hexOf,
  openContentStore,
  parseReference,
  resolveArtifact,
  type ResolveOptions,
  writeOciLayout,
  type WrittenLayout,
} from '../../src/artifact/index.ts';
import { needs } from '../needs.ts';

let dir: string;
let layout: string;
let written: WrittenLayout;
let store: ContentStore;
const servers: Server[] = [];

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'e2e-registry-'));
  layout = join(dir, 'layout');
  written = writeOciLayout({
    dir: layout,
    config: { cmd: ['/bin/app'] },
    layers: [
      [{ path: 'bin/app', type: 'file', mode: 0o755, content: 'app'.repeat(100_000) }],
      [{ path: 'etc/app', type: 'file', content: 'settings' }],
    ],
  });
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

beforeEach(async () => {
  store = await openContentStore(mkdtempSync(join(dir, 'store-')));
});

afterEach(async () => {
  await store[Symbol.asyncDispose]();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const blob = (digest: string): Buffer => readFileSync(join(layout, 'blobs/sha256', digest.slice('sha256:'.length)));

const pull = (text: string, options: Partial<ResolveOptions> = {}): Promise<Artifact> =>
  resolveArtifact(parseReference(text), { store, dockerConfig: join(dir, 'none.json'), ...options });

const freePort = async (): Promise<number> => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
};

/** A small registry, or whatever `handler` makes of it; the answer is its host and port. */
const serve = async (handler: RequestListener): Promise<string> => {
  const server = createServer(handler);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
};

/** Answers the distribution protocol for repository `shop/web` out of the layout. */
const answer = (request: IncomingMessage, response: ServerResponse): void => {
  const [, kind, name = ''] = /^\/v2\/shop\/web\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
  const digest = kind === 'manifests' && name === '1' ? written.manifestDigest : name;
  if (!existsSync(join(layout, 'blobs/sha256', digest.slice(7)))) response.writeHead(404).end();
  else response.end(blob(digest));
};

interface RunningRegistry {
  readonly host: string;
  readonly process: ChildProcess;
}

const startRegistry = async (auth: string): Promise<RunningRegistry> => {
  const port = await freePort();
  const root = mkdtempSync(join(dir, 'registry-'));
  const config = join(root, 'config.yml');
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${root}/data}}\nhttp: {addr: '127.0.0.1:${port}'}\n${auth}`,
  );
  const child = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  await untilListening(port, Date.now() + 20_000);
  return { host: `127.0.0.1:${port}`, process: child };
};

const untilListening = async (port: number, deadlineMs: number): Promise<void> => {
  for (;;) {
    const isUp = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(socket.destroy() !== undefined));
      socket.on('error', () => resolve(false));
    });
    if (isUp) return;
    if (Date.now() > deadlineMs) throw new Error('docker-registry did not start');
    await new Promise((resolve) => setImmediate(resolve));
  }
};

const push = async (host: string, authorization: Record<string, string>): Promise<void> => {
  const api = `http://${host}/v2/shop/web`;
  for (const digest of [written.configDigest, ...written.layers.map((layer) => layer.digest)]) {
    const begun = await fetch(`${api}/blobs/uploads/`, { method: 'POST', headers: authorization });
    const url = new URL(begun.headers.get('location') ?? '', api);
    url.searchParams.set('digest', digest);
    const put = await fetch(url, { method: 'PUT', headers: authorization, body: new Uint8Array(blob(digest)) });
    expect(put.status).toBe(201);
  }
  const headers = { ...authorization, 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
  const put = await fetch(`${api}/manifests/1`, {
    method: 'PUT',
    headers,
    body: new Uint8Array(blob(written.manifestDigest)),
  });
  expect(put.status).toBe(201);
};

/** bcrypt of `secret`, cost 4, as `htpasswd -B` writes it. */
const HTPASSWD = 'alice:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n';

describe.skipIf(needs('root', 'docker-registry'))('a docker-registry on loopback', () => {
  let open: RunningRegistry;
  let closed: RunningRegistry;
  const basic = `Basic ${Buffer.from('alice:secret').toString('base64')}`;

  beforeAll(async () => {
    writeFileSync(join(dir, 'htpasswd'), HTPASSWD);
    open = await startRegistry('');
    closed = await startRegistry(`auth: {htpasswd: {realm: test, path: ${dir}/htpasswd}}\n`);
    await push(open.host, {});
    await push(closed.host, { authorization: basic });
  });

  afterAll(() => {
    open?.process.kill('SIGKILL');
    closed?.process.kill('SIGKILL');
  });

  test('gives the image by tag, with the digest that was pushed', async () => {
    const artifact = await pull(`${open.host}/shop/web:1`);
    expect(artifact).toMatchObject({ digest: written.manifestDigest, kind: 'image', config: { cmd: ['/bin/app'] } });
    expect(readFileSync(join(artifact.layers[1]?.dir ?? '', 'etc/app'), 'utf8')).toBe('settings');
    // Layers are kept unpacked, not twice.
    const kept = readdirSync(join(store.dir, 'blobs/sha256')).sort();
    expect(kept).toEqual([hexOf(written.manifestDigest), hexOf(written.configDigest)].sort());
  });

  test('is not needed for a digest that is known', async () => {
    await pull(`${open.host}/shop/web@${written.manifestDigest}`);
    const gone = `127.0.0.1:1/shop/web@${written.manifestDigest}`;
    expect((await pull(gone)).digest).toBe(written.manifestDigest);
  });

  test('has no other tag', async () => {
    await expect(pull(`${open.host}/shop/web:2`)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND', exit: 6 });
    await expect(pull(`${open.host}/shop/none:1`)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  });

  test('that wants a password gets the one that docker login kept, and refuses without', async () => {
    const dockerConfig = join(dir, 'config.json');
    writeFileSync(dockerConfig, JSON.stringify({ auths: { [closed.host]: { auth: basic.slice('Basic '.length) } } }));
    await expect(pull(`${closed.host}/shop/web:1`)).rejects.toMatchObject({
      code: 'ARTIFACT_REGISTRY_DENIED',
      exit: 7,
    });
    expect((await pull(`${closed.host}/shop/web:1`, { dockerConfig })).digest).toBe(written.manifestDigest);
    writeFileSync(dockerConfig, JSON.stringify({ auths: { [closed.host]: { auth: btoa('alice:wrong') } } }));
    await using fresh = await openContentStore(mkdtempSync(join(dir, 'store-')));
    const wrong = pull(`${closed.host}/shop/web:1`, { dockerConfig, store: fresh });
    await expect(wrong).rejects.toMatchObject({ code: 'ARTIFACT_REGISTRY_DENIED' });
  });
});

describe.skipIf(needs('root'))('a registry', () => {
  test('with a token server gets a token for reading this repository alone', async () => {
    const asked: string[] = [];
    const tokens = await serve((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization ?? 'anonymous'}`);
      response.end(JSON.stringify({ token: 'good-token' }));
    });
    const host = await serve((request, response) => {
      if (request.headers.authorization === 'Bearer good-token') return answer(request, response);
      const challenge = `Bearer realm="http://${tokens}/token",service="shop",scope="repository:shop/web:pull,push,delete"`;
      response.writeHead(401, { 'www-authenticate': challenge }).end();
    });
    expect((await pull(`${host}/shop/web:1`)).digest).toBe(written.manifestDigest);
    expect(asked).toEqual(['/token?service=shop&scope=repository%3Ashop%2Fweb%3Apull anonymous']);
  });

  test('whose token server refuses is one that refuses', async () => {
    const tokens = await serve((_, response) => response.writeHead(403).end());
    const host = await serve((_, response) =>
      response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${tokens}/",service="x"` }).end(),
    );
    await expect(pull(`${host}/shop/web:1`)).rejects.toMatchObject({ code: 'ARTIFACT_REGISTRY_DENIED' });
  });

  test('that redirects blobs elsewhere does not make us hand its password there', async () => {
    const seen: (string | undefined)[] = [];
    const storage = await serve((request, response) => {
      seen.push(request.headers.authorization);
      response.end(blob((request.url ?? '').slice(1)));
    });
    const dockerConfig = join(dir, 'redirect.json');
    const host = await serve((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      } else if (request.url?.includes('/blobs/') === true) {
        response.writeHead(307, { location: `http://${storage}/${request.url.split('/').at(-1)}` }).end();
      } else answer(request, response);
    });
    writeFileSync(dockerConfig, JSON.stringify({ auths: { [host]: { auth: btoa('alice:secret') } } }));
    expect((await pull(`${host}/shop/web:1`, { dockerConfig })).digest).toBe(written.manifestDigest);
    expect(seen).toEqual([undefined, undefined, undefined]);
  });

  test('that is busy for a moment is asked again, one that stays so is given up', async () => {
    let requests = 0;
    const busy = await serve((request, response) => {
      requests += 1;
      if (requests === 1) response.writeHead(503).end();
      else answer(request, response);
    });
    expect((await pull(`${busy}/shop/web:1`)).digest).toBe(written.manifestDigest);
    await expect(pull('127.0.0.1:1/shop/web:1')).rejects.toMatchObject({ code: 'ARTIFACT_REGISTRY', exit: 6 });
  });

  test('whose connection breaks in the middle of a layer is asked for it again', async () => {
    let breaks = 1;
    const layer = written.layers[0]?.digest ?? '';
    const host = await serve((request, response) => {
      if (!(request.url ?? '').endsWith(layer) || breaks === 0) return answer(request, response);
      breaks -= 1;
      response.writeHead(200, { 'content-length': blob(layer).length });
      response.write(blob(layer).subarray(0, 100), () => response.destroy());
    });
    expect((await pull(`${host}/shop/web:1`)).digest).toBe(written.manifestDigest);
  });

  const lies: readonly (readonly [string, (bytes: Buffer) => Buffer])[] = [
    ['other bytes of the same length', (bytes) => Buffer.alloc(bytes.length, 'x')],
    ['fewer bytes', (bytes) => bytes.subarray(0, -1)],
    ['more bytes', (bytes) => Buffer.concat([bytes, Buffer.from('x')])],
  ];
  test.each(lies)('that sends %s for a blob is caught, and nothing is kept', async (_, lie) => {
    for (const victim of [written.layers[0]?.digest ?? '', written.configDigest]) {
      const host = await serve((request, response) => {
        if ((request.url ?? '').endsWith(victim)) response.end(lie(blob(victim)));
        else answer(request, response);
      });
      await expect(pull(`${host}/shop/web:1`)).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST', exit: 4 });
      expect(readdirSync(join(store.dir, 'layers'))).toEqual([]);
      expect(existsSync(store.blobPath(digestOf(blob(victim))))).toBe(false);
    }
  });

  test('that sends another manifest than the digest asked for is caught', async () => {
    const host = await serve((_, response) => response.end(blob(written.configDigest)));
    const asked = `${host}/shop/web@${written.manifestDigest}`;
    await expect(pull(asked)).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST' });
  });

  test('that never stops sending a manifest is cut off', async () => {
    const host = await serve((_, response) => {
      const more = (): void => {
        while (response.write(Buffer.alloc(65_536, 0x20)));
        response.once('drain', more);
      };
      more();
    });
    await expect(pull(`${host}/shop/web:1`)).rejects.toMatchObject({ code: 'ARTIFACT_UNREADABLE' });
  });

  test('that redirects for ever, or to something that is no web server, is given up', async () => {
    const host = await serve((request, response) => response.writeHead(302, { location: request.url }).end());
    await expect(pull(`${host}/shop/web:1`)).rejects.toMatchObject({ code: 'ARTIFACT_REGISTRY' });
    const elsewhere = await serve((_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end());
    await expect(pull(`${elsewhere}/shop/web:1`)).rejects.toMatchObject({ code: 'ARTIFACT_REGISTRY' });
  });
});
