// The documents of an image: what is read out of them, and what is refused before anything depends on it.
import { expect, test } from 'vitest';

import { digestOf } from './digest.ts';
import { selectPlatform } from './image.ts';
import {
  type Descriptor,
  layerCompression,
  parseDockerArchive,
  parseImageConfig,
  parseImageDocument,
  verifyLayoutVersion,
} from './image-documents.ts';

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const named = { digest: digestOf('x'), size: 1 };
const code = (expected: string): unknown => expect.objectContaining({ code: expected });

const descriptor = (fields: Partial<Descriptor>): Descriptor => ({
  mediaType: '',
  digest: digestOf('x'),
  size: 1,
  platform: null,
  annotations: new Map(),
  ...fields,
});

test('an index and a manifest are told apart by their fields', () => {
  expect(parseImageDocument(json({ manifests: [named] })).kind).toBe('index');
  expect(parseImageDocument(json({ config: named, layers: [named] })).kind).toBe('manifest');
  expect(() => parseImageDocument(json({ schemaVersion: 1, fsLayers: [] }))).toThrow(code('ARTIFACT_UNSUPPORTED'));
});

test.each([
  ['no JSON', Buffer.from('{"manifests":')],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0x7d])],
  ['more than a registry takes', Buffer.alloc(4 * 1024 * 1024 + 1, 0x20)],
  ['a negative size', json({ manifests: [{ ...named, size: -1 }] })],
  ['another algorithm', json({ manifests: [{ ...named, digest: `sha512:${'a'.repeat(128)}` }] })],
  ['a digest that is a path', json({ manifests: [{ ...named, digest: 'sha256:../../../etc/passwd' }] })],
  ['an empty index', json({ manifests: [] })],
  ['too many layers', json({ config: named, layers: Array.from({ length: 129 }, () => named) })],
])('a document with %s is refused', (_, bytes) => {
  expect(() => parseImageDocument(bytes)).toThrow(code('ARTIFACT_UNREADABLE'));
});

test('a config with nothing in it asks for nothing, and nulls are as good as nothing', () => {
  const { config, platform } = parseImageConfig(
    json({ rootfs: { diff_ids: [] }, created: 'soon', config: { Env: null } }),
  );
  expect(platform).toBeNull();
  expect(config).toMatchObject({ user: '', env: [], cmd: [], stopSignal: null, createdMs: null, labels: {} });
  expect(() => parseImageConfig(json({ config: {} }))).toThrow(code('ARTIFACT_UNREADABLE'));
});

test('labels are data, whatever they are called', () => {
  const text = '{"rootfs":{"diff_ids":[]},"config":{"Labels":{"__proto__":"x","constructor":"y"}}}';
  const { labels } = parseImageConfig(Buffer.from(text)).config;
  expect(Object.getPrototypeOf(labels)).toBe(Object.prototype);
  expect(labels['constructor']).toBe('y');
});

test('a layer of files is known by its type; anything else is refused, and its name cannot steer a terminal', () => {
  const layer = 'application/vnd.oci.image.layer.v1.tar';
  expect(layerCompression(descriptor({ mediaType: `${layer}+zstd` }))).toBe('zstd');
  expect(layerCompression(descriptor({ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip' }))).toBe('gzip');
  for (const mediaType of ['', 'text/plain', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip']) {
    expect(() => layerCompression(descriptor({ mediaType }))).toThrow(code('ARTIFACT_UNSUPPORTED'));
  }
  expect(() => layerCompression(descriptor({ mediaType: '\u001b[2J\u202eevil' }))).toThrow("'?[2J?evil'");
});

test('of several manifests the one for the platform is chosen, and one alone without a platform', () => {
  const linux = (architecture: string): Descriptor => descriptor({ platform: { os: 'linux', architecture } });
  const attestation = descriptor({ platform: { os: 'unknown', architecture: 'unknown' } });
  expect(selectPlatform([linux('arm64'), attestation, linux('amd64')], 'linux/amd64')).toEqual(linux('amd64'));
  expect(selectPlatform([descriptor({})], 'linux/amd64')).toEqual(descriptor({}));
  for (const manifests of [[descriptor({}), descriptor({})], [linux('arm64')], [attestation]]) {
    expect(() => selectPlatform(manifests, 'linux/amd64')).toThrow(code('ARTIFACT_UNSUPPORTED'));
  }
});

test("a layout says its version, and docker save's manifest its images", () => {
  expect(() => verifyLayoutVersion(json({ imageLayoutVersion: '1.0.0' }))).not.toThrow();
  expect(() => verifyLayoutVersion(json({ imageLayoutVersion: '2.0.0' }))).toThrow(code('ARTIFACT_UNREADABLE'));
  const [image] = parseDockerArchive(json([{ Config: 'c', RepoTags: null, Layers: ['l'] }]));
  expect(image).toEqual({ configPath: 'c', tags: [], layerPaths: ['l'] });
  expect(() => parseDockerArchive(json([]))).toThrow(code('ARTIFACT_UNREADABLE'));
});
