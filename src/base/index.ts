// The ground that every room stands on: errors, bytes, canonical JSON, units, clock.
export {
  BaseError,
  type BaseErrorCode,
  type ErrorOptionsOf,
  errnoOf,
  type ExitStatus,
  exitStatus,
  invariant,
  InvariantError,
  messageOf,
  ProvostError,
} from './errors.ts';
export { GIB, isSameBytes, KIB, MIB, sha256Hex } from './bytes.ts';
export { CANONICAL_DEPTH_MAX, canonicalJson, type Json } from './canonical-json.ts';
export { Lane } from './lane.ts';
export { formatDuration, formatSize, parseCpu, parseDuration, parseSize } from './units.ts';
export { type Clock, rfc3339, systemClock } from './clock.ts';
