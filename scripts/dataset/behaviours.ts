// The attack behaviours of the data set by their ATT&CK techniques, and which of them nobody may tune to.

/** How a behaviour goes about it. */
export type Manner = 'plain' | 'slow' | 'mimicry';

export interface Behaviour {
  /** As the guest's programs call it. */
  readonly id: string;
  /** Of MITRE ATT&CK for Enterprise. */
  readonly technique: string;
  readonly manner: Manner;
  /** For how long it acts at most; one that is done at once is given what its windows need. */
  readonly actsMs: number;
  /** Recorded for the test split alone: nothing of it may be looked at while detectors are made. */
  readonly keptOut: boolean;
}

const ONCE_MS = 400;
const WHILE_MS = 2500;
const SLOWLY_MS = 5000;

type Row = readonly [id: string, technique: string, actsMs: number, keptOut?: 'kept out'];

const plain: readonly Row[] = [
  ['reverse-shell', 'T1059.004', 1000],
  ['pty-shell', 'T1059.006', 1500, 'kept out'],
  ['port-scan', 'T1046', WHILE_MS],
  ['host-sweep', 'T1018', WHILE_MS],
  ['exfiltration', 'T1041', WHILE_MS],
  ['dns-tunnel', 'T1071.004', WHILE_MS, 'kept out'],
  ['relay', 'T1090.001', WHILE_MS, 'kept out'],
  ['beacon', 'T1071.001', SLOWLY_MS],
  ['password-guessing', 'T1110.001', WHILE_MS],
  ['ransomware', 'T1486', WHILE_MS],
  ['data-destruction', 'T1485', 600, 'kept out'],
  ['credential-read', 'T1003.008', ONCE_MS],
  ['key-hunt', 'T1552.004', ONCE_MS],
  ['archive-staging', 'T1560.002', WHILE_MS],
  ['log-wipe', 'T1070.002', 1000],
  ['timestomp', 'T1070.006', WHILE_MS, 'kept out'],
  ['cron-entry', 'T1053.003', ONCE_MS, 'kept out'],
  ['program-replaced', 'T1554', ONCE_MS],
  ['preload-file', 'T1574.006', ONCE_MS, 'kept out'],
  ['dropped-program', 'T1105', ONCE_MS],
  ['miner', 'T1496', WHILE_MS],
  ['fork-bomb', 'T1499.001', 1500],
  ['preload', 'T1574.006', ONCE_MS],
  ['memfd-exec', 'T1620', ONCE_MS],
  ['web-shell', 'T1505.003', 1500],
  ['discovery', 'T1057', WHILE_MS],
  ['memory-hog', 'T1499.004', WHILE_MS],
  ['masquerade', 'T1036.005', 600, 'kept out'],
  ['escape-mount', 'T1611', ONCE_MS],
  ['escape-namespace', 'T1611', ONCE_MS],
  ['escape-core-pattern', 'T1611', ONCE_MS],
  ['process-injection', 'T1055.008', ONCE_MS],
  ['process-memory', 'T1003.007', ONCE_MS, 'kept out'],
  ['kernel-module', 'T1547.006', ONCE_MS],
  ['bpf-program', 'T1014', ONCE_MS],
];
const slow: readonly Row[] = [
  ['ransomware-slow', 'T1486', SLOWLY_MS],
  ['port-scan-slow', 'T1046', SLOWLY_MS, 'kept out'],
  ['exfiltration-slow', 'T1030', SLOWLY_MS],
  ['miner-throttled', 'T1496', SLOWLY_MS],
];
const mimicry: readonly Row[] = [
  ['exfiltration-padded', 'T1041', WHILE_MS],
  ['port-scan-padded', 'T1046', WHILE_MS, 'kept out'],
];

/** Every behaviour, in the order of the recording. */
export const behaviours: readonly Behaviour[] = [
  ...plain.map(behaviourOf('plain')),
  ...slow.map(behaviourOf('slow')),
  ...mimicry.map(behaviourOf('mimicry')),
];

function behaviourOf(manner: Manner): (row: Row) => Behaviour {
  return ([id, technique, actsMs, keptOut]) => ({ id, technique, manner, actsMs, keptOut: keptOut !== undefined });
}
