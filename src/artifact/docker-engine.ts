// Gets an image out of the local Docker engine, over its Unix socket: what `docker save` would write.
import { type IncomingMessage, request } from 'node:http';

import { exitStatus, GIB, MIB } from '../base/index.ts';
import { openArchive } from './archive-file.ts';
import type { Artifact } from './artifact.ts';
import { ArtifactError, type Digest, isDigest } from './digest.ts';
import { readDockerArchive } from './docker-archive.ts';
import { type ImageContext, type Naming, recallImage } from './image.ts';
import { parseJson } from './image-documents.ts';
import { notFound, unreadable } from './refusal.ts';

export const DOCKER_SOCKET = '/var/run/docker.sock';

/** Bound of a saved image. */
const SAVED_BYTES_MAX = 64 * GIB;
const INSPECTION_BYTES_MAX = 4 * MIB;
/** The engine answers from its own disk; saving may take a while to begin. */
const ANSWER_TIMEOUT_MS = 60_000;

export interface DockerInput {
  readonly socketPath: string;
  readonly image: string;
  readonly naming: Naming;
}

/**
 * Reads an image of the local engine; one that is known here already is not saved again.
 *
 * @throws ArtifactError ARTIFACT_NOT_FOUND, ARTIFACT_REGISTRY when there is no engine, ARTIFACT_DIGEST, and what unpacking throws
 * @source Docker Engine API v1.41, "Inspect an image", "Export an image"
 */
export async function readDocker(input: DockerInput, context: ImageContext): Promise<Artifact> {
  const { store } = context;
  const id = await imageId(input);
  if (store.has(id) && (await store.remembered(id)) !== null) {
    const known = await recallImage(id, input.naming, store).catch((error: unknown) => {
      // Known once, but a layer has gone since: then it is read again.
      if (error instanceof ArtifactError && error.code === 'ARTIFACT_NOT_FOUND') return null;
      throw error;
    });
    if (known !== null) return known;
  }
  const path = store.temporaryPath();
  await store.writeTemporary(path, await get(input, 'get'), { bytesMax: SAVED_BYTES_MAX });
  try {
    await using archive = await openArchive(path, store);
    return await readDockerArchive({ archive, tag: null, naming: input.naming, expected: id }, context);
  } finally {
    await store.removeTemporary(path);
  }
}

async function imageId(input: DockerInput): Promise<Digest> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of (await get(input, 'json')) as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > INSPECTION_BYTES_MAX) throw unreadable('the Docker engine answers with too much');
    pieces.push(piece);
  }
  const answer = parseJson(Buffer.concat(pieces), "the Docker engine's answer");
  const id = typeof answer === 'object' && answer !== null && 'Id' in answer ? answer.Id : null;
  if (typeof id !== 'string' || !isDigest(id)) throw unreadable('the Docker engine names no image id');
  return id;
}

function get(input: DockerInput, what: 'json' | 'get'): Promise<IncomingMessage> {
  const path = `/images/${encodeURI(input.image)}/${what}`;
  return new Promise((resolve, reject) => {
    const call = request({ socketPath: input.socketPath, path, timeout: ANSWER_TIMEOUT_MS }, (response) => {
      if (response.statusCode === 200) resolve(response);
      else {
        response.destroy();
        reject(refusalOf(input, response.statusCode ?? 0));
      }
    });
    call.on('timeout', () => call.destroy(new Error('it did not answer in time')));
    call.on('error', (error) => reject(engineError(input, error)));
    call.end();
  });
}

function refusalOf(input: DockerInput, status: number): ArtifactError {
  if (status === 404) return notFound(`the Docker engine has no image '${input.image}'`, `docker pull ${input.image}`);
  return engineError(input, new Error(`it answered ${status}`));
}

function engineError(input: DockerInput, cause: Error): ArtifactError {
  return new ArtifactError(
    'ARTIFACT_REGISTRY',
    `the Docker engine at ${input.socketPath} cannot be used: ${cause.message}`,
    {
      exit: exitStatus.unavailable,
      hint: 'Start it (systemctl start docker), or name the image in its registry.',
      cause,
    },
  );
}
