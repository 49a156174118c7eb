// The server edge: supervisor, guard, HTTP.
export { goSumServer, logServer, servedLogServer, witnessServer } from './log-server.ts';
export { guardHere, launchGuard, restoreGuard, type LaunchOptions } from './launch.ts';
