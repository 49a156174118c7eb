// What `doctor` says of the sensor: it is started once, for real.
import type { Sensor } from '../sensor.ts';
import { openSensor, type SensorOptions } from './open-sensor.ts';

/** One line of the doctor's report. */
export interface SensorFinding {
  readonly name: string;
  readonly status: 'ok' | 'weak';
  readonly detail: string;
  /** What to do; null when nothing is to be done. */
  readonly fix: string | null;
}

const SEES: Readonly<Record<Sensor['kind'], string>> = {
  bpf: 'programs of our own count system calls and their 3-grams by cgroup',
  bpftrace: 'bpftrace counts system calls by cgroup',
  none: 'nothing counts system calls',
};

/** Starts the sensor, waits until it counts or gives up, and ends it. Takes up to 1.5 s; never throws. */
export async function sensorFinding(options: Omit<SensorOptions, 'clock'> = {}): Promise<SensorFinding> {
  await using sensor = await openSensor(options);
  await sensor.ready;
  if (sensor.limitation === null) return { name: 'sensor', status: 'ok', detail: SEES[sensor.kind], fix: null };
  const fix =
    sensor.kind === 'none'
      ? 'run as root on a kernel with BTF (CONFIG_DEBUG_INFO_BTF), or install bpftrace (apt-get install bpftrace); without either no workload earns trust by running'
      : 'run as root on a kernel of 5.15 or later with BTF (CONFIG_DEBUG_INFO_BTF); until then coverage stays below 1 at medium and low trust';
  return { name: 'sensor', status: 'weak', detail: sensor.limitation, fix };
}
