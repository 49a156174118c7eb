// The last resort of the guard: every workload of a home is stopped, since nobody is there to watch it.
import { freezeSandboxes } from '../sandbox/index.ts';
import type { Home } from './home.ts';

/** Freezes all that runs. The next supervisor thaws what may run. */
export async function freezeHome(home: Pick<Home, 'id'>): Promise<void> {
  await freezeSandboxes(home.id);
}
