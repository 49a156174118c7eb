// The way to Sigstore bundles: its libraries take 30 ms and 10 MB, which only those pay who meet a bundle.
import type { parseSigstoreBundle } from './bundle.ts';
import type { verifySigstoreBundle } from './verify-bundle.ts';

interface Sigstore {
  readonly parseSigstoreBundle: typeof parseSigstoreBundle;
  readonly verifySigstoreBundle: typeof verifySigstoreBundle;
}

/** Loads what reads and verifies Sigstore bundles. */
export async function loadSigstore(): Promise<Sigstore> {
  const [bundle, verify] = await Promise.all([import('./bundle.ts'), import('./verify-bundle.ts')]);
  return { parseSigstoreBundle: bundle.parseSigstoreBundle, verifySigstoreBundle: verify.verifySigstoreBundle };
}
