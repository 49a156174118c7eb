// What was asked for, granted and found in the kernel, side by side, and whether the kernel holds exactly the grant.
import type { WorkloadDocument } from '../../api/index.ts';
import { formatSize } from '../../base/index.ts';
import { formatRate } from '../words.ts';
import { openKernelGroup } from './kernel-group.ts';
import { shortName } from './kernel-watch.ts';
import type { NumberRow, Story } from './story.ts';

/** What a visit, or a measured download, said of the network. */
export interface NetworkFound {
  readonly found: string;
  readonly source: string;
}

/** Shows the table; answers whether the kernel holds what the decision granted. */
export function showNumbers(story: Story, workload: WorkloadDocument, network: NetworkFound): boolean {
  const { grant, requested, driver } = workload;
  const group = openKernelGroup(workload.cgroup ?? '');
  const limits = group.limits();
  if (limits === null) return false;
  // gVisor's own threads are counted with the workload's: what they need is added to the limit.
  const ofRuntime = driver === 'gvisor' ? limits.pids - grant.pids : 0;
  const pidsNote = ofRuntime > 0 ? ` (${ofRuntime} are gVisor's own)` : '';
  const rows: NumberRow[] = [
    {
      what: 'CPU',
      asked: `${requested.cpuMillicores}m`,
      granted: `${grant.cpu.millicores}m`,
      found: `${limits.cpuMillicores}m`,
      source: shortName(group.files.cpu),
    },
    {
      what: 'memory',
      asked: formatSize(requested.memoryBytes),
      granted: formatSize(grant.memory.bytes),
      found: formatSize(limits.memoryBytes),
      source: shortName(group.files.memory),
    },
    {
      what: 'processes',
      asked: String(requested.pids),
      granted: String(grant.pids),
      found: String(limits.pids),
      source: shortName(group.files.pids) + pidsNote,
    },
    { what: 'network', asked: 'open', granted: networkText(grant), ...network },
  ];
  story.numbers(rows);
  const isSamePids = ofRuntime > 0 || limits.pids === grant.pids;
  return limits.cpuMillicores === grant.cpu.millicores && limits.memoryBytes === grant.memory.bytes && isSamePids;
}

function networkText({ network, rateBitsPerSecond }: WorkloadDocument['grant']): string {
  if (network === 'rateLimited') return formatRate(rateBitsPerSecond ?? 0);
  return network === 'isolated' ? 'none' : 'open';
}
