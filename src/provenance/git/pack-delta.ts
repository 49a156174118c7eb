// Deltas of packfiles: an object written as copies out of another and new bytes.
import { badRepository } from './git-file.ts';

/**
 * Applies a delta.
 *
 * @param bytesMax largest result
 * @throws ProvenanceError PROVENANCE_REPOSITORY when it does not fit the base
 * @source git, Documentation/gitformat-pack.txt, deltified representation
 */
export function applyDelta(base: Buffer, delta: Buffer, bytesMax: number): Buffer {
  const reader = { delta, at: 0 };
  const baseBytes = readSize(reader);
  const resultBytes = readSize(reader);
  if (baseBytes !== base.length || resultBytes > bytesMax) throw badDelta();
  const result = Buffer.allocUnsafe(resultBytes);
  let filled = 0;
  while (reader.at < delta.length) {
    const piece = nextPiece(reader, base);
    if (piece.length === 0 || filled + piece.length > resultBytes) throw badDelta();
    filled += piece.copy(result, filled);
  }
  if (filled !== resultBytes) throw badDelta();
  return result;
}

interface DeltaReader {
  readonly delta: Buffer;
  at: number;
}

function nextByte(reader: DeltaReader): number {
  const byte = reader.delta[reader.at];
  if (byte === undefined) throw badDelta();
  reader.at += 1;
  return byte;
}

function readSize(reader: DeltaReader): number {
  let size = 0;
  for (let weight = 1; weight < 2 ** 49; weight *= 128) {
    const byte = nextByte(reader);
    size += (byte & 0x7f) * weight;
    if (byte < 0x80) return size;
  }
  throw badDelta();
}

function nextPiece(reader: DeltaReader, base: Buffer): Buffer {
  const instruction = nextByte(reader);
  if (instruction < 0x80) {
    const start = reader.at;
    reader.at += instruction;
    if (reader.at > reader.delta.length) throw badDelta();
    return reader.delta.subarray(start, reader.at);
  }
  const start = readSparse(reader, instruction, 4);
  const count = readSparse(reader, instruction >> 4, 3);
  const end = start + (count === 0 ? 0x10000 : count);
  if (end > base.length) throw badDelta();
  return base.subarray(start, end);
}

/** A number of which only the bytes are there whose bits are set. */
function readSparse(reader: DeltaReader, bits: number, bytes: number): number {
  let number = 0;
  for (let index = 0; index < bytes; index += 1) if (bits & (1 << index)) number += nextByte(reader) * 256 ** index;
  return number;
}

function badDelta(): Error {
  return badRepository('a packfile holds a delta that does not fit its base');
}
