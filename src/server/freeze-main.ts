// Entry of the process that freezes every workload of a home, when no supervisor can be brought up to watch them.
import { findHome, freezeHome } from '../engine/index.ts';

const home = findHome(process.argv[2] ?? '');
if (home !== null) await freezeHome(home);
