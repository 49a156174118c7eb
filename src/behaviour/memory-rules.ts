// Rules about what a look at memory found and what was asked of the network: code in memory, tunnels through the DNS, refusals by the dozen.
import type { Violation } from '../trust/index.ts';
import { CHANGED_MEASURE, CODE_MEASURE } from './asked-measures.ts';
import { namesByZone } from './dns-zones.ts';
import { LEARNING_WINDOWS, type Model } from './model-document.ts';
import type { MemoryLook, Window } from './telemetry.ts';

/** Thresholds of these rules. */
export interface AskingLimits {
  /** Connections refused a second that are a search for something, and the fewest that are one in a shorter window. */
  readonly refusedPerSecond: number;
  readonly refusedMin: number;
  /** Names of one zone in one window that are a tunnel, when they are as long as this beyond the zone, on average. */
  readonly tunnelNamesMin: number;
  readonly tunnelCharactersMin: number;
}

/**
 * Every rule about code in memory that a window breaks. Each asks for a baseline: who has a compiler inside makes code all day, and some
 * libraries are changed when they are loaded. One look alone sets no measure, as everywhere.
 */
export function memoryViolations(model: Model, { memoryLook: look }: Window): Violation[] {
  if (look === undefined) return [];
  return [...injectedCode(model, look), ...changedCode(model, look)];
}

function injectedCode(model: Model, look: MemoryLook): Violation[] {
  if (look.anonymousExecutableBytes === 0 || !isNews(model, CODE_MEASURE)) return [];
  const kib = Math.ceil(look.anonymousExecutableBytes / 1024);
  const writable = look.writableExecutableBytes > 0 ? ', some of it writable' : '';
  const reason = `${kib} KiB of code that is in no file${writable}, in ${namesIn(look)}, which had none before`;
  return [{ kind: 'injected-code', severity: 'high', reason }];
}

function changedCode(model: Model, look: MemoryLook): Violation[] {
  if (look.changedCodePages === 0 || !isNews(model, CHANGED_MEASURE)) return [];
  const reason = `${pages(look.changedCodePages)} of program code changed in memory, in ${namesIn(look)}, where none was before`;
  return [{ kind: 'changed-code', severity: 'high', reason }];
}

/** True when enough looks were learnt, and found none. */
function isNews(model: Model, measure: number): boolean {
  const [windows, , normal] = model.measures[measure] ?? [0, 0, 0];
  return windows >= LEARNING_WINDOWS && normal === 0;
}

/** Every rule about what was asked of the network that a window breaks. */
export function askingViolations(window: Window, limits: AskingLimits): Violation[] {
  return [...refusedBurst(window, limits), ...dnsTunnel(window, limits)];
}

/** A client whose server is away tries again, but not that often. */
function refusedBurst({ rebuffedFlows = 0, durationMs }: Window, limits: AskingLimits): Violation[] {
  const needed = (limits.refusedPerSecond * durationMs) / 1000;
  if (rebuffedFlows < (needed > limits.refusedMin ? needed : limits.refusedMin)) return [];
  const reason = `${rebuffedFlows} connections were refused to it within ${Math.round(durationMs)} ms`;
  return [{ kind: 'refused-burst', severity: 'medium', reason }];
}

function dnsTunnel({ dnsNames = [] }: Window, limits: AskingLimits): Violation[] {
  const { tunnelNamesMin, tunnelCharactersMin } = limits;
  for (const [zone, names] of namesByZone(dnsNames)) {
    if (names.length < tunnelNamesMin) continue;
    let characters = 0;
    for (const name of names) characters += name.length - zone.length;
    if (characters < tunnelCharactersMin * names.length) continue;
    const mean = Math.round(characters / names.length);
    const reason = `${names.length} names of the DNS zone ${zone} in one window, each with ${mean} characters before it: the shape of a tunnel`;
    return [{ kind: 'dns-tunnel', severity: 'high', reason }];
  }
  return [];
}

function pages(count: number): string {
  return count === 1 ? 'a page' : `${count} pages`;
}

function namesIn({ processes }: MemoryLook): string {
  return processes.length === 0 ? 'a process' : processes.map((name) => `'${name}'`).join(', ');
}
