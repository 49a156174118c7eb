// Opens the best sensor that the host allows: programs of our own, else bpftrace, else none that sees calls. What is missing shows.
import { type Clock, messageOf, systemClock } from '../../base/index.ts';
import type { Sensor } from '../sensor.ts';
import { openBpfSensor } from './bpf-sensor.ts';
import { openBpftraceSensor } from './bpftrace-sensor.ts';

/** What {@link openSensor} may be told. */
export interface SensorOptions {
  /** Default: `bpftrace` in the path. */
  readonly bpftracePath?: string;
  readonly clock?: Clock;
  /** Default: programs of our own, and bpftrace where the kernel refuses those. */
  readonly program?: 'bpf' | 'bpftrace';
}

/**
 * Opens the host's sensor, which ends with this process. It answers at once.
 *
 * Our own programs count from then on. Where the kernel refuses them, one bpftrace is started: until it is attached
 * ({@link Sensor.ready}), and whenever it is not, readings say that nothing was kept. What can go wrong is in
 * `limitation`; nothing is thrown.
 */
export async function openSensor(options: SensorOptions = {}): Promise<Sensor> {
  const clock = options.clock ?? systemClock;
  const bpftracePath = options.bpftracePath ?? 'bpftrace';
  if (options.program === 'bpftrace') return openBpftraceSensor({ bpftracePath, clock });
  try {
    if (process.arch !== 'x64' && process.arch !== 'arm64') throw new Error(`none is written for ${process.arch}`);
    return openBpfSensor(process.arch, clock);
  } catch (error) {
    return openBpftraceSensor({ bpftracePath, clock, standsInBecause: messageOf(error) });
  }
}
