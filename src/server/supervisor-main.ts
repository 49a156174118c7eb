// Entry of the supervisor process: `supervisor-main.ts OPTIONS-JSON`, from the guard.
import { z } from 'zod';

import { exitStatus, messageOf, ProvostError } from '../base/index.ts';
import { openHome } from '../engine/index.ts';
import { EXIT_HOME_IN_USE } from './guard.ts';
import { openSupervisor } from './supervisor.ts';

const optionsSchema = z.strictObject({
  home: z.string(),
  leavesWhenIdle: z.boolean(),
  listen: z.strictObject({ host: z.string(), port: z.int(), token: z.string() }).nullable(),
});

async function main(): Promise<number> {
  const options = optionsSchema.parse(JSON.parse(process.argv[2] ?? '{}'));
  try {
    const supervisor = await openSupervisor({ ...options, home: openHome(options.home) });
    const asked = Promise.withResolvers<'signal'>();
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => asked.resolve('signal'));
    if ((await Promise.race([supervisor.ended, asked.promise])) === 'signal') await supervisor.handOver();
    return 0;
  } catch (error) {
    const code = error instanceof ProvostError ? `${error.code}: ` : '';
    // The command that started it shows the end of this: what to do belongs there too.
    const hint = error instanceof ProvostError && error.hint !== undefined ? `\n  ${error.hint}` : '';
    process.stderr.write(`provost supervisor: ${code}${messageOf(error)}${hint}\n`);
    if (error instanceof Error && error.cause !== undefined)
      process.stderr.write(`  because ${messageOf(error.cause)}\n`);
    if (!(error instanceof ProvostError)) return exitStatus.internal;
    return error.code === 'LEDGER_LOCKED' ? EXIT_HOME_IN_USE : error.exit;
  }
}

process.exit(await main());
