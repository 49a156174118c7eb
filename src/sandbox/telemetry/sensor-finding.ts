// What `doctor` says of the sensor: it is started once, for real.
import { openSensor } from './bpftrace-sensor.ts';

/** One line of the doctor's report. */
export interface SensorFinding {
  readonly name: string;
  readonly status: 'ok' | 'weak';
  readonly detail: string;
  /** What to do; null when nothing is to be done. */
  readonly fix: string | null;
}

/** Starts the sensor, waits until it counts our own calls or gives up, and ends it. Takes about 1.5 s; never throws. */
export async function sensorFinding(options: { readonly bpftracePath?: string } = {}): Promise<SensorFinding> {
  await using sensor = await openSensor(options);
  await sensor.ready;
  if (sensor.limitation === null) {
    return { name: 'sensor', status: 'ok', detail: 'bpftrace counts system calls by cgroup', fix: null };
  }
  const fix = 'install it (apt-get install bpftrace) and run as root; without it no workload earns trust by running';
  return { name: 'sensor', status: 'weak', detail: sensor.limitation, fix };
}
