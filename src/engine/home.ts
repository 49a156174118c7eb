// The folder that holds all state of one Provost, and the short id that marks what it makes on the host.
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { type HomeLayout, homeLayout } from '../api/index.ts';
import { errnoOf, exitStatus, messageOf } from '../base/index.ts';
import { EngineError } from './errors.ts';

/** Paths of one PROVOST_HOME. */
export interface Home extends HomeLayout {
  /** Six lower-case hex digits: in the name of every cgroup, link, table and folder that this home makes on the host. */
  readonly id: string;
  readonly database: string;
  /** Of the journal, which is a log that others can read. */
  readonly logDir: string;
  readonly contentDir: string;
  readonly keysDir: string;
  readonly attestationsDir: string;
  readonly alertsFile: string;
  readonly policyFile: string;
  readonly cacheDir: string;
  /** Run folders of sandboxes. */
  readonly runDir: string;
  /** Writable layers. */
  readonly scratchDir: string;
  workloadDir(name: string): string;
}

/**
 * Opens the home at `dir`, making it (mode 0750) and its id on first use.
 *
 * @throws EngineError ENGINE_HOME when the folder cannot be made or its id is not one
 */
export function openHome(dir: string): Home {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o750 });
  } catch (error) {
    throw new EngineError('ENGINE_HOME', `cannot make the state folder ${dir}: ${messageOf(error)}`, {
      exit: exitStatus.unavailable,
      hint: 'Set PROVOST_HOME to a folder that you may write to.',
      cause: error,
    });
  }
  return layOut(dir, readOrMakeId(dir));
}

/** Opens a home only if it is there already: for commands that only read. */
export function findHome(dir: string): Home | null {
  return existsSync(join(dir, 'id')) ? layOut(dir, readOrMakeId(dir)) : null;
}

/** The paths of a home that may not be there; its id is then that of no home. */
export function homeAt(dir: string): Home {
  return findHome(dir) ?? layOut(dir, NO_HOME_ID);
}

const NO_HOME_ID = '000000';

function layOut(dir: string, id: string): Home {
  const at = (...parts: string[]): string => join(dir, ...parts);
  return {
    ...homeLayout(dir),
    id,
    database: at('state.sqlite'),
    logDir: at('log'),
    contentDir: at('content'),
    keysDir: at('keys'),
    attestationsDir: at('attestations'),
    alertsFile: at('alerts.jsonl'),
    policyFile: at('policy.yaml'),
    cacheDir: at('cache'),
    runDir: at('run'),
    scratchDir: at('scratch'),
    workloadDir: (name) => at('workloads', name),
  };
}

function readOrMakeId(dir: string): string {
  const file = join(dir, 'id');
  if (!existsSync(file)) {
    const fresh = `${file}.${process.pid}`;
    writeFileSync(fresh, `${randomBytes(3).toString('hex')}\n`, { flag: 'wx', mode: 0o640 });
    linkUnlessThere(fresh, file);
    unlinkSync(fresh);
  }
  const id = readFileSync(file, 'utf8').trim();
  if (!/^[0-9a-f]{6}$/.test(id)) {
    throw new EngineError('ENGINE_HOME', `${file} does not hold the id of a home`, {
      exit: exitStatus.unavailable,
      hint: 'Point PROVOST_HOME at a folder that Provost made, or at an empty one.',
    });
  }
  return id;
}

// Two first commands at once: the first link wins and both read it.
function linkUnlessThere(fresh: string, file: string): void {
  try {
    linkSync(fresh, file);
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}
