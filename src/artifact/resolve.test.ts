// What a reference becomes: images from every local form, folders, files, and the refusals beside them.
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { needs } from '../../test/needs.ts';
import {
  type Artifact,
  type ContentStore,
  digestOf,
  hexOf,
  layerFacts,
  openContentStore,
  parseReference,
  parseRootfs,
  resolveArtifact,
  type TarInput,
  tarOf,
  writeOciLayout,
} from './index.ts';

let dir: string;
let store: ContentStore;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'artifact-resolve-'));
  store = await openContentStore(join(dir, 'store'));
});

afterEach(async () => {
  rmSync(dir, { recursive: true, force: true });
  await store[Symbol.asyncDispose]();
});

const resolveText = (text: string): Promise<Artifact> => resolveArtifact(parseReference(text), { store });

const LAYERS: readonly (readonly TarInput[])[] = [
  [
    { path: 'etc', type: 'directory', mode: 0o755 },
    { path: 'etc/name', type: 'file', content: 'lower' },
    { path: 'gone', type: 'file', content: 'gone' },
    { path: 'full/old', type: 'file', content: 'old' },
  ],
  [
    { path: 'etc/name', type: 'file', content: 'upper', uid: 7, gid: 8, mtime: 1_700_000_000 },
    { path: '.wh.gone', type: 'file' },
    { path: 'full/.wh..wh..opq', type: 'file' },
    { path: 'full/new', type: 'file', content: 'new' },
  ],
];

const writeImage = (name: string, options: Partial<Parameters<typeof writeOciLayout>[0]> = {}) => {
  const layout = join(dir, name);
  return { layout, written: writeOciLayout({ dir: layout, layers: LAYERS, ...options }) };
};

test.skipIf(needs('root')).each(['none', 'gzip', 'zstd'] as const)(
  'reads an OCI layout whose layers are compressed with %s (root)',
  async (compression) => {
    const config = {
      user: 'www',
      env: ['A=b'],
      cmd: ['/bin/x'],
      exposedPorts: ['80/tcp'],
      createdMs: 1_700_000_000_000,
    };
    const { layout, written } = writeImage('layout', { compression, config });
    const artifact = await resolveText(`oci:${layout}`);
    expect(artifact).toMatchObject({ digest: written.manifestDigest, kind: 'image', config });
    expect(artifact.layers.map((layer) => layer.diffId)).toEqual(written.layers.map((layer) => layer.diffId));
    const upper = artifact.layers[1]?.dir ?? '';
    expect(readFileSync(join(upper, 'etc/name'), 'utf8')).toBe('upper');
    expect(lstatSync(join(upper, 'etc/name'))).toMatchObject({ uid: 7, gid: 8, mtimeMs: 1_700_000_000_000 });
  },
);

test.skipIf(needs('root'))('a layer store cannot be reached by other users of the host (root)', async () => {
  await resolveText(`oci:${writeImage('layout').layout}`);
  expect(statSync(join(store.dir, 'layers')).mode & 0o777).toBe(0o700);
});

test.skipIf(needs('root'))(
  'an overlay of the layers shows what the image means: whiteouts and opaque folders hide what is below (root)',
  async () => {
    const artifact = await resolveText(writeImage('layout').layout);
    const mountPoint = join(dir, 'merged');
    mkdirSync(mountPoint);
    const lower = artifact.layers
      .map((layer) => layer.dir)
      .reverse()
      .join(':');
    execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${lower}`, mountPoint]);
    try {
      expect(readdirSync(mountPoint).sort()).toEqual(['etc', 'full']);
      expect(readdirSync(join(mountPoint, 'full'))).toEqual(['new']);
      expect(readFileSync(join(mountPoint, 'etc/name'), 'utf8')).toBe('upper');
    } finally {
      execFileSync('umount', [mountPoint]);
    }
  },
);

test.skipIf(needs('root'))(
  'reads the same image from a folder, from its tar and from its digest, under one name (root)',
  async () => {
    const { layout, written } = writeImage('layout');
    execFileSync('tar', ['-C', layout, '-cf', join(dir, 'image.tar'), 'oci-layout', 'index.json', 'blobs']);
    execFileSync('gzip', ['-k', join(dir, 'image.tar')]);
    for (const text of [layout, `${dir}/image.tar`, `oci:${dir}/image.tar.gz:latest`, written.manifestDigest]) {
      expect((await resolveText(text)).digest).toBe(written.manifestDigest);
    }
  },
);

test.skipIf(needs('root'))('an image that is unpacked is read again without its layers (root)', async () => {
  const { layout, written } = writeImage('layout');
  await resolveText(layout);
  for (const layer of written.layers) rmSync(join(layout, 'blobs/sha256', hexOf(layer.digest)));
  const started = performance.now();
  expect((await resolveText(layout)).layers).toHaveLength(2);
  expect(performance.now() - started).toBeLessThan(200);
});

test.skipIf(needs('root'))(
  'an image that names one layer twice, and is asked for twice at once, is unpacked once (root)',
  async () => {
    const layer = LAYERS[0] ?? [];
    const { layout } = writeImage('layout', { layers: [layer, layer] });
    let pieces = 0;
    const read = () => resolveArtifact(parseReference(layout), { store, progress: () => (pieces += 1) });
    const [first, second] = await Promise.all([read(), read()]);
    expect(first).toEqual(second);
    expect(first?.layers).toHaveLength(2);
    expect(pieces).toBe(1);
  },
);

const dockerArchive = (name: string, tags: string[]): { path: string; id: string } => {
  const layers = LAYERS.map((entries) => tarOf(entries));
  const config = JSON.stringify({
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config: { Cmd: ['/x'] },
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) },
  });
  const id = digestOf(config);
  const path = join(dir, name);
  const manifest = [{ Config: `${hexOf(id)}.json`, RepoTags: tags, Layers: ['aa/layer.tar', 'bb/layer.tar'] }];
  writeFileSync(
    path,
    tarOf([
      { path: `${hexOf(id)}.json`, type: 'file', content: config },
      { path: 'aa/layer.tar', type: 'file', content: layers[0] ?? '' },
      { path: 'cc/layer.tar', type: 'file', content: layers[1] ?? '' },
      // As `docker save` writes a layer that two images share.
      { path: 'bb/layer.tar', type: 'symlink', linkPath: '../cc/layer.tar' },
      { path: 'manifest.json', type: 'file', content: JSON.stringify(manifest) },
    ]),
  );
  return { path, id };
};

test.skipIf(needs('root'))(
  'names a docker-archive by its config, which is the id that Docker shows (root)',
  async () => {
    const { path, id } = dockerArchive('saved.tar', ['shop/web:1.2']);
    expect(await resolveText(`docker-archive:${path}`)).toMatchObject({ digest: id, name: 'shop/web:1.2' });
    expect((await resolveText(path)).digest).toBe(id);
    expect((await resolveText(`docker-archive:${path}:1.2`)).digest).toBe(id);
    expect((await resolveText(id)).digest).toBe(id);
    await expect(resolveText(`docker-archive:${path}:1.3`)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  },
);

test.skipIf(needs('root'))(
  'reads an image of a Docker engine over its socket, and asks for its content only once (root)',
  async () => {
    const { path, id } = dockerArchive('saved.tar', ['shop/web:1.2']);
    const socket = join(dir, 'docker.sock');
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (request.url === '/images/shop/web:1.2/json') response.end(JSON.stringify({ Id: id }));
      else if (request.url === '/images/shop/web:1.2/get') response.end(readFileSync(path));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    try {
      const read = (name: string) => resolveArtifact(parseReference(`docker:${name}`), { store, dockerSocket: socket });
      expect(await read('shop/web:1.2')).toMatchObject({ digest: id, name: 'shop/web:1.2' });
      expect((await read('shop/web:1.2')).digest).toBe(id);
      expect(asked.filter((url) => url.endsWith('/get'))).toHaveLength(1);
      await expect(read('shop/none')).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
    } finally {
      server.close();
    }
    const gone = resolveArtifact(parseReference('docker:shop/web:1.2'), { store, dockerSocket: socket });
    await expect(gone).rejects.toMatchObject({ code: 'ARTIFACT_REGISTRY', exit: 6 });
  },
);

test.skipIf(needs('root'))(
  'chooses the manifest of this platform out of an index, and refuses an image for another (root)',
  async () => {
    const { layout, written } = writeImage('layout');
    const other = writeImage('other', { architecture: 's390x' });
    const entry = (from: typeof written, architecture: string, base: string) => ({
      digest: from.manifestDigest,
      size: statSync(join(base, 'blobs/sha256', hexOf(from.manifestDigest))).size,
      platform: { os: 'linux', architecture },
    });
    const index = JSON.stringify({
      manifests: [entry(other.written, 's390x', other.layout), entry(written, 'amd64', layout)],
    });
    const combined = join(dir, 'combined');
    cpSync(other.layout, combined, { recursive: true });
    cpSync(layout, combined, { recursive: true });
    writeFileSync(join(combined, 'blobs/sha256', hexOf(digestOf(index))), index);
    writeFileSync(
      join(combined, 'index.json'),
      JSON.stringify({ manifests: [{ digest: digestOf(index), size: index.length }] }),
    );
    const read = (platform: string) => resolveArtifact(parseReference(combined), { store, platform });
    if (process.arch === 'x64') expect((await read('linux/amd64')).digest).toBe(written.manifestDigest);
    await expect(read('linux/riscv64')).rejects.toMatchObject({ code: 'ARTIFACT_UNSUPPORTED' });
    await expect(resolveText(other.layout)).rejects.toMatchObject({ code: 'ARTIFACT_UNSUPPORTED' });
  },
);

test('refuses an artifact that is not there, a digest that is not known, and a tag that the layout lacks', async () => {
  const { layout } = writeImage('layout');
  for (const text of [join(dir, 'none'), digestOf('none'), `oci:${layout}:none`]) {
    await expect(resolveText(text)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  }
});

test.skipIf(needs('root'))('of several images in a layout one must be named (root)', async () => {
  const { layout, written } = writeImage('layout', { tag: 'shop/web:1' });
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
    manifests: { annotations: object }[];
  };
  const first = index.manifests[0];
  if (first === undefined) throw new Error('the layout has no image');
  index.manifests.push({ ...first, annotations: { 'org.opencontainers.image.ref.name': '2' } });
  writeFileSync(join(layout, 'index.json'), JSON.stringify(index));
  await expect(resolveText(layout)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  expect((await resolveText(`oci:${layout}:1`)).digest).toBe(written.manifestDigest);
});

test('what is neither file nor folder, or cannot be looked at, is refused', async () => {
  execFileSync('mkfifo', [join(dir, 'pipe')]);
  await expect(resolveText(join(dir, 'pipe'))).rejects.toMatchObject({ code: 'ARTIFACT_UNSUPPORTED' });
  await expect(resolveText(`docker-archive:${dir}`)).rejects.toMatchObject({ code: 'ARTIFACT_UNREADABLE' });
  await expect(resolveText(join(dir, 'n'.repeat(300)))).rejects.toMatchObject({ code: 'ARTIFACT_UNREADABLE' });
  writeFileSync(join(dir, 'file'), 'x');
  const rootfs = resolveArtifact(parseRootfs(join(dir, 'file')), { store });
  await expect(rootfs).rejects.toMatchObject({ code: 'ARTIFACT_UNSUPPORTED' });
});

test('a file is named by its content, and known by it as long as it stays the same', async () => {
  const path = join(dir, 'tool');
  writeFileSync(path, 'content');
  const artifact = await resolveText(path);
  expect(artifact).toMatchObject({ digest: digestOf('content'), kind: 'file', layers: [] });
  expect((await resolveText(artifact.digest)).digest).toBe(artifact.digest);
  writeFileSync(path, 'changed');
  await expect(resolveText(artifact.digest)).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST' });
});

test('a folder and a root file system of the same content have the same digest, and their facts', async () => {
  const root = join(dir, 'root');
  mkdirSync(join(root, 'home/.ssh'), { recursive: true });
  writeFileSync(join(root, 'home/.ssh/id_ed25519'), 'key');
  writeFileSync(join(root, 'tool'), 'x', { mode: 0o4755 });
  execFileSync('chmod', ['4755', join(root, 'tool')]);
  const folder = await resolveText(root);
  const rootfs = await resolveArtifact(parseRootfs(root), { store });
  expect([folder.kind, rootfs.kind]).toEqual(['folder', 'rootfs']);
  expect(rootfs.digest).toBe(folder.digest);
  expect(rootfs.layers).toEqual([{ diffId: rootfs.digest, dir: root, bytes: 4 }]);
  const facts = await layerFacts(store, rootfs.digest);
  expect(facts?.setuid).toEqual({ count: 1, paths: ['tool'] });
  expect(facts?.secrets.found).toEqual([{ path: 'home/.ssh/id_ed25519', kind: 'ssh-key-file' }]);
  expect((await resolveText(rootfs.digest)).kind).toBe('rootfs');
});

test("the host's own root has a name without being read, and no facts", async () => {
  const artifact = await resolveArtifact(parseRootfs('/'), { store });
  expect(artifact).toMatchObject({ kind: 'host', name: '/', layers: [{ dir: '/' }] });
  expect((await resolveArtifact(parseRootfs('//'), { store })).digest).toBe(artifact.digest);
  expect(await layerFacts(store, artifact.digest)).toBeNull();
});
