// `run --dry-run`: the score, the grant, the OCI runtime spec and every write to the kernel, with nothing started.
import type { RunRequest } from '../api/index.ts';
import { exitStatus } from '../base/index.ts';
import type { CliContext } from './context.ts';

/** Prints the plan. With `compare`, exit 8 when the grant differs from that of the workload of this name that runs. */
export async function runDry(context: CliContext, request: RunRequest, compare: boolean): Promise<number> {
  const { planRun } = await import('../engine/index.ts');
  const plan = await planRun({
    homeDir: context.home.dir,
    request,
    progress: (step, ratio) => context.out.progress(step, ratio),
  });
  context.out.done();
  if (context.out.json) context.out.object(plan);
  else context.out.line(JSON.stringify(plan, null, 2));
  if (plan.grant === null) return exitStatus.denied;
  return compare && plan.differs ? exitStatus.differences : exitStatus.done;
}
