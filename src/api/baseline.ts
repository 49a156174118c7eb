// What the commands of baselines ask, and what they answer: what is normal for an artifact.
import { z } from 'zod';

import { signingKey } from './run-request.ts';

/** Named limits of learning and of what travels. */
export const baselineLimits = {
  /** A phase is watched by a person: a day is the most that one vouches for. */
  learnMsMax: 86_400_000,
  learnWindowsMax: 100_000,
  /** A signed baseline; a model has at most 96 KiB, and base64 a third more, twice. */
  fileBytesMax: 524_288,
} as const;

/** Whose baseline: a workload that has this name, else the artifact of this reference. */
const subject = {
  subject: z.string().min(1).max(4096),
  /** As the supervisor finds it, paths absolute. */
  reference: z.string().min(1).max(4096),
  rootfs: z.boolean(),
};

const driver = z.enum(['runc', 'gvisor']);

/** Whose baseline is asked for. */
export const baselineSubject = z.strictObject(subject);
export type BaselineSubject = z.infer<typeof baselineSubject>;

/** Body of a learning phase: what is watched, how long, and why. */
export const learnRequest = z.strictObject({
  ...subject,
  forMs: z.int().min(1000).max(baselineLimits.learnMsMax),
  windowsMax: z.int().min(1).max(baselineLimits.learnWindowsMax),
  reason: z.string().min(3).max(1000),
  key: signingKey,
});
export type LearnRequest = z.infer<typeof learnRequest>;

/** Body of an export; `driver` null: the one that a baseline was learnt under. */
export const exportBaselineRequest = z.strictObject({
  ...subject,
  driver: driver.nullable(),
  key: z.string().min(1).max(128),
});
export type ExportBaselineRequest = z.infer<typeof exportBaselineRequest>;

/** Body of an import: the signed envelope in base64, and what it must be about (null: what it says). */
export const importBaselineRequest = z.strictObject({
  envelope: z.base64().max(Math.ceil(baselineLimits.fileBytesMax / 3) * 4),
  about: baselineSubject.nullable(),
  replace: z.boolean(),
  reason: z.string().min(3).max(1000),
  key: signingKey,
});
export type ImportBaselineRequest = z.infer<typeof importBaselineRequest>;

const artifact = z.object({ digest: z.string(), name: z.string() });
const counts = { learnt: z.number(), unusual: z.number(), violating: z.number(), idle: z.number() };

/** A line while a phase goes on. */
export const learningProgress = z.object({ event: z.literal('learning'), ...counts, elapsedMs: z.number() });
export type LearningProgress = z.infer<typeof learningProgress>;

/** What a phase came to. */
export const learningDocument = z.object({
  artifact,
  workload: z.string().nullable(),
  ended: z.enum(['time', 'windows', 'interrupted', 'stopped', 'alarm']),
  ...counts,
  tookMs: z.number(),
  /** Of the entry by which somebody vouched for it. */
  logIndex: z.number(),
  baselines: z.array(z.object({ driver, windows: z.number(), modelDigest: z.string() })),
});
export type LearningDocument = z.infer<typeof learningDocument>;

/** What is normal for an artifact in one kind of sandbox, and where that is known from. */
export const baselineDocument = z.object({
  artifact,
  driver,
  architecture: z.string(),
  modelDigest: z.string(),
  windows: z.number(),
  isJudging: z.boolean(),
  calls: z.array(z.string()),
  programs: z.array(z.string()),
  destinations: z.array(z.string()),
  files: z.array(z.string()),
  amounts: z.array(z.object({ name: z.string(), normal: z.number(), largest: z.number() })),
  shares: z.array(z.object({ name: z.string(), low: z.number(), high: z.number() })),
  runs: z.object({ windows: z.number(), seen: z.number(), again: z.number() }),
  forest: z.object({ windows: z.number(), mixtures: z.number() }),
  ranked: z.number(),
  imported: z
    .object({
      at: z.string(),
      by: z.string(),
      windows: z.number(),
      modelDigest: z.string(),
      envelopeDigest: z.string(),
      logIndex: z.number(),
    })
    .nullable(),
  phases: z.array(
    z.object({
      started: z.string(),
      ended: z.string(),
      windows: z.number(),
      reason: z.string(),
      logIndex: z.number(),
    }),
  ),
});
export type BaselineDocument = z.infer<typeof baselineDocument>;

/** A baseline that was taken over. */
export const importedBaseline = z.object({
  artifact,
  driver,
  windows: z.number(),
  modelDigest: z.string(),
  signedBy: z.array(z.string()),
  envelopeDigest: z.string(),
  logIndex: z.number(),
  /** Windows of the baseline that it replaced; 0: there was none. */
  replacedWindows: z.number(),
});
export type ImportedBaseline = z.infer<typeof importedBaseline>;
