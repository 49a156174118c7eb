// The server edge: supervisor, guard, HTTP.
export { guardHere, launchGuard, restoreGuard, type LaunchOptions } from './launch.ts';
