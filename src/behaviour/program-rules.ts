// Rules about programs: which were started, from where, and what a shell may not do in code that is known.
import type { Violation } from '../trust/index.ts';
import { LEARNING_WINDOWS, type Model } from './model-document.ts';
import type { AuditEvent } from './telemetry.ts';

const SHELLS: ReadonlySet<string> = new Set(['sh', 'bash', 'dash', 'ash', 'zsh', 'ksh']);
const RELAYS: ReadonlySet<string> = new Set(['nc', 'ncat', 'socat']);
/** Where a program has no name in any file system: an anonymous file in memory, or a descriptor. */
const NAMELESS = /^(?:\/?memfd:|\/proc\/(?:self|\d+)\/fd\/|\/dev\/fd\/)/;
/** Where everybody may write. */
const SCRATCH = /^\/(?:tmp|var\/tmp|dev\/shm)\//;

/** Every rule about programs that the window breaks. Most ask for a baseline: only a program that is known can be surprised by a shell. */
export function programViolations(model: Model, audit: readonly AuditEvent[]): Violation[] {
  if (audit.length === 0) return [];
  const nameless = namelessProgram(audit);
  if (model.windows < LEARNING_WINDOWS) return nameless;
  return [
    ...nameless,
    ...unexpectedShell(model, audit),
    ...shellConnection(model, audit),
    ...scratchProgram(model, audit),
  ];
}

function namelessProgram(audit: readonly AuditEvent[]): Violation[] {
  const event = audit.find(({ kind, target }) => kind === 'exec' && NAMELESS.test(target));
  if (event === undefined) return [];
  const reason = `'${event.comm}' started a program that is in no file system: ${event.target}`;
  return [{ kind: 'fileless-program', severity: 'high', reason }];
}

function unexpectedShell(model: Model, audit: readonly AuditEvent[]): Violation[] {
  const known = new Set(model.programs.map(baseName));
  const event = audit.find(({ kind, target }) => {
    const name = baseName(target);
    return kind === 'exec' && (SHELLS.has(name) || RELAYS.has(name)) && !known.has(name);
  });
  if (event === undefined) return [];
  const reason = `${event.target} was started, which this code never did in ${model.windows} windows`;
  return [{ kind: 'unexpected-shell', severity: 'medium', reason }];
}

/** A shell that waits for its database at every start does so while the baseline is learnt. */
function shellConnection(model: Model, audit: readonly AuditEvent[]): Violation[] {
  const event = audit.find(({ kind, comm, target }) => {
    if (kind !== 'connect' || !SHELLS.has(comm) || target.startsWith('unix:')) return false;
    return !model.destinations.includes(`${target}/tcp`);
  });
  if (event === undefined) return [];
  const reason = `the shell '${event.comm}' itself connected to ${event.target}, where this code never went`;
  return [{ kind: 'reverse-shell', severity: 'high', reason }];
}

function scratchProgram(model: Model, audit: readonly AuditEvent[]): Violation[] {
  const knows = model.programs.some((program) => SCRATCH.test(program));
  const event = audit.find(({ kind, target }) => kind === 'exec' && SCRATCH.test(target));
  // Builds run what they have just made, under a new name each time.
  if (event === undefined || knows) return [];
  const reason = `${event.target} was started from a folder that everybody may write to, which this code never did`;
  return [{ kind: 'dropped-program', severity: 'medium', reason }];
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
