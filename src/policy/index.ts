// Score and request in, grant out: pure, no I/O, no clock.
export {
  type BindMount,
  type Grant,
  type Isolation,
  type LiveGrant,
  liveGrantOf,
  type Logging,
  type Mode,
  type NetworkMode,
  type PortMapping,
  type ResourceRequest,
} from './grant.ts';
export type { Tier } from '../trust/index.ts';
