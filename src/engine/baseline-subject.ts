// Whose baseline is meant: a workload by its name, an artifact by reference or by digest.
import type { BaselineSubject } from '../api/index.ts';
import { isDigest } from '../artifact/index.ts';
import { readArtifact } from './admission.ts';
import type { EngineContext } from './context.ts';

/** An artifact, and the workload by which it was named. */
export interface FoundSubject {
  readonly digest: string;
  readonly name: string;
  readonly workload: string | null;
}

/**
 * Finds it. An artifact that is named by its digest need not be known here: its baseline may have come first.
 *
 * @throws ArtifactError
 */
export async function findSubject(
  context: EngineContext,
  { subject, reference, rootfs }: BaselineSubject,
): Promise<FoundSubject> {
  const running = context.workloads.get(subject);
  if (running !== undefined) {
    const { digest, name } = running.revision.artifact;
    return { digest, name, workload: running.name };
  }
  if (isDigest(reference))
    return { digest: reference, name: nameHere(context, reference) ?? reference, workload: null };
  const { digest, name } = await readArtifact(context, { reference, rootfs }, () => {});
  return { digest, name, workload: null };
}

/** The name that an artifact has where it runs here; null when it never did. */
export function nameHere({ workloads }: EngineContext, digest: string): string | null {
  for (const { revision } of workloads.values()) if (revision.artifact.digest === digest) return revision.artifact.name;
  return null;
}
