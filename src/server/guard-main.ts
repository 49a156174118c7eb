// Entry of the guard process: `guard-main.ts OPTIONS-JSON`, detached, from the first command that needs a supervisor.
import { guard, type GuardOptions } from './guard.ts';

process.exit(await guard(JSON.parse(process.argv[2] ?? '{}') as GuardOptions));
