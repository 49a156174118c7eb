// Words that several commands print alike.
import { formatDuration } from '../base/index.ts';
import type { Output } from './output.ts';

const tierStyle = { high: 'green', medium: 'yellow', low: 'red' } as const;

/** A tier in its colour. */
export function tierText(out: Output, tier: 'high' | 'medium' | 'low'): string {
  return out.paint(tierStyle[tier], tier);
}

/** `3m ago` for an RFC 3339 time. */
export function ago(time: string, nowMs: number): string {
  return `${formatDuration(Math.max(0, nowMs - Date.parse(time)))} ago`;
}

/** The first 12 digits of a digest, as Docker shows them. */
export function shortDigest(digest: string): string {
  return digest.replace(/^sha256:/, '').slice(0, 12);
}

/** `12 Mbit/s` for bits a second. */
export function formatRate(bitsPerSecond: number): string {
  if (bitsPerSecond >= 1_000_000_000) return `${Number((bitsPerSecond / 1_000_000_000).toFixed(1))} Gbit/s`;
  if (bitsPerSecond >= 1_000_000) return `${Number((bitsPerSecond / 1_000_000).toFixed(1))} Mbit/s`;
  return bitsPerSecond >= 1000
    ? `${Number((bitsPerSecond / 1000).toFixed(1))} kbit/s`
    : `${Math.round(bitsPerSecond)} bit/s`;
}
