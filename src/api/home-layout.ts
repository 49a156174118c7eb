// Where the supervisor of a home can be met: the few paths that programs may rely on.

/** Paths that are part of the contract; all others in a home are the engine's own. */
export interface HomeLayout {
  readonly dir: string;
  readonly socket: string;
  readonly pidFile: string;
  /** The pid of the supervisor's parent, which starts it again after a crash. */
  readonly guardPidFile: string;
  /** What the supervisor says when it has no terminal. */
  readonly supervisorLog: string;
}

/** The layout of the home at an absolute path. */
export function homeLayout(dir: string): HomeLayout {
  return {
    dir,
    socket: `${dir}/provost.sock`,
    pidFile: `${dir}/provost.pid`,
    guardPidFile: `${dir}/guard.pid`,
    supervisorLog: `${dir}/supervisor.log`,
  };
}
