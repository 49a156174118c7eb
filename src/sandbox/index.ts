// Confinement that the kernel enforces, and what the kernel says of it. A driver never sees a score.
export {
  type Driver,
  type DriverName,
  type Effective,
  type Exit,
  type LaunchPart,
  type LaunchProfileName,
  type Network,
  type NetworkPlan,
  type NetworkStats,
  type Probe,
  type Sandbox,
  SandboxError,
  type SandboxErrorCode,
  type SandboxRecord,
  type SandboxStats,
} from './driver.ts';
export type { Sensor, SensorReading } from './sensor.ts';
export { openSensor, type SensorOptions } from './telemetry/open-sensor.ts';
export { sensorFinding, type SensorFinding } from './telemetry/sensor-finding.ts';
export { collectWindow, type CounterSnapshot, isActive, type WindowSources } from './telemetry/window-collector.ts';
export { networkFindings } from './network/findings.ts';
export { type NetworkOptions, openNetwork } from './network/network.ts';
export { type AttachedOutput, type Attachment, openAttachment } from './runtime/attachment.ts';
export { UNKNOWN_EXIT_CODE } from './runtime/exit-watch.ts';
export { type LogLine, readCriLog, type ReadLogOptions } from './runtime/cri-log.ts';
export { type DriverOptions, openDrivers } from './runtime/open-drivers.ts';
export { clearOrphans, freezeSandboxes, type OrphanSearch } from './runtime/orphans.ts';
export { planSandbox, type SandboxPlan } from './runtime/plan-sandbox.ts';
