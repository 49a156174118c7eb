// What a workload asked for, and what it is allowed now.

export type NetworkMode = 'unrestricted' | 'rateLimited' | 'isolated';
export type Isolation = 'container' | 'gvisor' | 'microvm';
export type Logging = 'standard' | 'detailed' | 'realtime';
export type Mode = 'observe' | 'enforce';

export interface PortMapping {
  readonly hostAddress: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface BindMount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** What `run` asked for; the most that a grant can be. */
export interface ResourceRequest {
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly pids: number;
  /** Wall time, null without a limit. */
  readonly timeMs: number | null;
  readonly ports: readonly PortMapping[];
  readonly mounts: readonly BindMount[];
}

/** What is allowed now, in the shape of the interface page. */
export interface Grant {
  readonly cpu: { readonly millicores: number };
  readonly memory: { readonly bytes: number };
  readonly disk: { readonly bytes: number };
  readonly pids: number;
  readonly timeMs: number | null;
  readonly network: NetworkMode;
  /** Each way; null when not limited. */
  readonly rateBitsPerSecond: number | null;
  readonly ports: readonly PortMapping[];
  readonly mounts: readonly BindMount[];
  readonly isolation: Isolation;
  readonly logging: Logging;
}

/** The part of a grant that the kernel can change while the code runs. */
export interface LiveGrant {
  readonly cpuMillicores: number;
  readonly memoryBytes: number;
  readonly pids: number;
  readonly network: NetworkMode;
  readonly rateBitsPerSecond: number | null;
  readonly logging: Logging;
}

/** The live part of a grant. */
export function liveGrantOf(grant: Grant): LiveGrant {
  return {
    cpuMillicores: grant.cpu.millicores,
    memoryBytes: grant.memory.bytes,
    pids: grant.pids,
    network: grant.network,
    rateBitsPerSecond: grant.rateBitsPerSecond,
    logging: grant.logging,
  };
}

/** True when two live parts allow the same. */
export function isSameLive(a: LiveGrant, b: LiveGrant): boolean {
  return (
    a.cpuMillicores === b.cpuMillicores &&
    a.memoryBytes === b.memoryBytes &&
    a.pids === b.pids &&
    a.network === b.network &&
    a.rateBitsPerSecond === b.rateBitsPerSecond &&
    a.logging === b.logging
  );
}
