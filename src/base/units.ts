// What people write (512Mi, 1.5, 90s) to what programs hold (bytes, millicores, milliseconds), and back.
import { GIB, KIB, MIB } from './bytes.ts';
import { BaseError, exitStatus } from './errors.ts';

const SIZE = /^(\d{1,15}(?:\.\d{1,6})?)\s*([kKmMgGtT]?)(i?)[bB]?$/;
const SIZE_STEPS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['k', KIB],
  ['m', MIB],
  ['g', GIB],
  ['t', 1024 * GIB],
]);

/**
 * Parses a size: `512Mi`, `1Gi`, `64m`, `1048576`. As with Docker, `k`, `m`, `g` and `t` are powers of 1024 with or without `i`.
 *
 * @returns whole bytes
 * @throws BaseError BASE_UNIT
 */
export function parseSize(text: string): number {
  const match = SIZE.exec(text.trim());
  const step = SIZE_STEPS.get((match?.[2] ?? '').toLowerCase());
  const bytes = match === null || step === undefined ? Number.NaN : Math.floor(Number(match[1]) * step);
  if (!Number.isSafeInteger(bytes)) throw badUnit('size', text, 'like 512Mi or 1Gi');
  return bytes;
}

/**
 * Parses an amount of CPU: cores (`1`, `0.5`) or millicores (`250m`).
 *
 * @returns whole millicores, at least 1
 * @throws BaseError BASE_UNIT
 */
export function parseCpu(text: string): number {
  const match = /^(\d{1,6}(?:\.\d{1,6})?)(m?)$/.exec(text.trim());
  const millicores = match === null ? Number.NaN : Math.round(Number(match[1]) * (match[2] === 'm' ? 1 : 1000));
  if (!Number.isSafeInteger(millicores) || millicores < 1) throw badUnit('amount of CPU', text, 'like 1, 0.5 or 250m');
  return millicores;
}

const DURATION_STEPS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);

/**
 * Parses a duration of one or more parts: `90s`, `1h30m`, `250ms`; a bare number is seconds.
 *
 * @returns whole milliseconds
 * @throws BaseError BASE_UNIT
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim();
  if (/^\d{1,9}(\.\d{1,3})?$/.test(trimmed)) return Math.round(Number(trimmed) * 1000);
  if (!/^(\d{1,9}(\.\d{1,3})?(ms|s|m|h|d)){1,5}$/.test(trimmed))
    throw badUnit('duration', text, 'like 90s, 10m or 24h');
  let ms = 0;
  for (const part of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    ms += Number(part[1]) * (DURATION_STEPS.get(part[2] ?? '') ?? Number.NaN);
  }
  return Math.round(ms);
}

function badUnit(what: string, text: string, example: string): BaseError {
  return new BaseError('BASE_UNIT', `'${text.slice(0, 40)}' is not a ${what}`, {
    exit: exitStatus.usage,
    hint: `Write it ${example}.`,
  });
}

/** Writes bytes for people: `256Mi`, `1.5Gi`, `812B`. */
export function formatSize(bytes: number): string {
  if (bytes < KIB) return `${bytes}B`;
  const [value, unit] = bytes < MIB ? [bytes / KIB, 'Ki'] : bytes < GIB ? [bytes / MIB, 'Mi'] : [bytes / GIB, 'Gi'];
  return `${Number(value.toFixed(value < 10 ? 1 : 0))}${unit}`;
}

/** Writes a duration for people: `350ms`, `12s`, `4m`, `3h`, `2d`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)}s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)}m`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)}h` : `${Math.round(ms / 86_400_000)}d`;
}
