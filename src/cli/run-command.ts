// `provost run`: admit, start, and, unless detached, stay with the workload until it ends.
import type { Command } from 'commander';

import { type EventOf, type RunRequest, type WorkloadEvent, workloadEvent } from '../api/index.ts';
import { type ExitStatus, exitStatus, formatSize } from '../base/index.ts';
import { attachStreams } from './attach.ts';
import { CliError } from './cli-error.ts';
import { type Client, RemoteError } from './client.ts';
import { type CliContext, contextOf, type Finish } from './context.ts';
import { followOutput } from './log-output.ts';
import { runDry } from './dry-run.ts';
import {
  countFlag,
  cpuFlag,
  durationFlag,
  envFlag,
  portFlag,
  quantityOption,
  requestOf,
  type RunFlags,
  secretFlag,
  sizeFlag,
  volumeFlag,
} from './run-flags.ts';
import { tierText } from './words.ts';

const EXAMPLES = `
Examples:
  provost run --rootfs / -- echo hello            the quickest try: the host's own root, read-only
  provost run --name web -p 8080:80 oci:./web     an image from an OCI layout
  provost run -d --name db --memory 1Gi registry.example/db@sha256:…
  provost run --dry-run --rootfs / -- true        print the grant and the exact limits, start nothing
  provost run --name web --replace oci:./web:2    deploy a new revision
`;

/** Adds `run` to the program. */
export function addRun(program: Command, finish: Finish): void {
  program
    .command('run')
    .summary('run a workload by what it has earned')
    .description('Scores an artifact, starts it in what the score allows, and keeps watching it.')
    .argument('[image-and-command...]', 'IMAGE, then the command after --')
    .option('--name <name>', 'name of the workload (default: made from the artifact)')
    .addOption(quantityOption('--cpu <cores>', 'most CPU it can be granted: 1, 0.5, 250m', cpuFlag, '1'))
    .addOption(quantityOption('--memory <size>', 'most memory it can be granted', sizeFlag, '512Mi'))
    .option('--pids <n>', 'most processes and threads', countFlag, 512)
    .addOption(quantityOption('--disk <size>', 'size of its writable layer', sizeFlag, '1Gi'))
    .option('--time <duration>', 'end it after this wall time (exit 124)', durationFlag)
    .option('-p, --publish <host:container>', 'publish a port; may be repeated', portFlag, [])
    .option('-e, --env <k=v>', 'set an environment variable; may be repeated', envFlag, [])
    .option('-v, --volume <src:dst[:ro]>', 'mount a folder or file of the host; may be repeated', volumeFlag, [])
    .option('--secret <name=file>', 'give a file as /run/secrets/NAME; may be repeated', secretFlag, {})
    .option('--user <user[:group]>', 'user inside, instead of the image’s', '')
    .option('--workdir <dir>', 'working folder inside, instead of the image’s', '')
    .option('--restart <no|on-failure|always>', 'what to do when it exits', oneOf('no', 'on-failure', 'always'), 'no')
    .addOption(quantityOption('--stop-timeout <duration>', 'from the stop signal to the end', durationFlag, '10s'))
    .option('-i, --interactive', 'keep its standard input open')
    .option('-t, --tty', 'give it a terminal')
    .option('--rm', 'remove the workload when it has ended')
    .option('-d, --detach', 'return once it has started')
    .option('--mode <observe|enforce>', 'only log what would be done, or do it', oneOf('observe', 'enforce'))
    .option('--policy <file>', 'a policy for this workload instead of the home’s')
    .option('--rootfs <dir>', 'run a folder as root file system; / is the host’s own, read-only')
    .option('--replace', 'deploy a new revision of a workload of this name')
    .option('--dry-run', 'print the grant and the exact limits, start nothing')
    .option('--exit-code', 'with --dry-run: exit 8 when it differs from what runs under this name')
    .addHelpText('before', EXAMPLES)
    .action(async (operands: string[], flags: RunFlags, command: Command) => {
      finish(await runOrRefuse(contextOf(command), operands, flags));
    });
}

function oneOf<T extends string>(...values: readonly T[]): (text: string) => T {
  return (text) => {
    const found = values.find((value) => value === text);
    if (found === undefined) {
      throw new CliError('CLI_USAGE', `'${text.slice(0, 40)}' is none of ${values.join(', ')}`, {
        exit: exitStatus.usage,
        hint: 'See provost run --help.',
      });
    }
    return found;
  };
}

async function runOrRefuse(context: CliContext, operands: readonly string[], flags: RunFlags): Promise<number> {
  try {
    return await run(context, operands, flags);
  } catch (error) {
    if (error instanceof ShownRefusal) return error.exit;
    throw error;
  }
}

async function run(context: CliContext, operands: readonly string[], flags: RunFlags): Promise<number> {
  const [image, argv] = flags.rootfs === undefined ? [operands[0] ?? null, operands.slice(1)] : [null, operands];
  if (image === null && flags.rootfs === undefined) {
    throw new CliError('CLI_USAGE', 'run needs an image, or --rootfs DIR', {
      exit: exitStatus.usage,
      hint: 'Try provost run --rootfs / -- echo hello',
    });
  }
  const request = requestOf(flags, image, argv);
  if (flags.dryRun === true) return runDry(context, request, flags.exitCode === true);
  const client = await context.client();
  if (flags.detach !== true) return stayWith(context, client, request);
  const started = await start(context, client, request);
  context.out.done();
  if (!context.out.json) context.out.line(started.workload);
  return exitStatus.done;
}

interface Started {
  readonly workload: string;
  /** Tells the events of this start from those of earlier workloads of the same name. */
  readonly instance: string;
}

/** Sends the request and shows its events up to `started`. A refusal is an event and an error. */
async function start(
  context: CliContext,
  client: Client,
  request: RunRequest,
  onAttach: (workload: string) => void = () => {},
): Promise<Started> {
  let started: Started = { workload: request.name ?? '', instance: '' };
  let isRefused = false;
  for await (const line of client.lines({ method: 'POST', path: '/v1/workloads', body: request })) {
    if (typeof line !== 'object' || line === null) continue;
    if ('error' in line) {
      const error = new RemoteError(line as ConstructorParameters<typeof RemoteError>[0]);
      throw isRefused ? new ShownRefusal(error.exit) : error;
    }
    if ('result' in line) continue;
    const event = workloadEvent.parse(line);
    // With --json the event is all that there is to say.
    isRefused ||= event.event === 'refused' && context.out.json;
    if (event.event === 'started') started = { workload: event.workload, instance: event.instance };
    if (event.event === 'progress' && event.step === 'attach') onAttach(event.workload);
    showEvent(context, event);
  }
  return started;
}

async function stayWith(context: CliContext, client: Client, request: RunRequest): Promise<number> {
  const ending = new AbortController();
  let attached: Promise<void> | null = null;
  const started = await start(context, client, request, (workload) => {
    attached = attachStreams({ client, workload, terminal: request.terminal, stdin: request.stdin });
    // It is waited for below, once the workload has started.
    attached.catch(() => undefined);
  });
  context.out.done();
  const stop = stopOnSignals(client, started.workload);
  const follow = (): Promise<void> => followOutput({ client, workload: started.workload, signal: ending.signal });
  const output = attached ?? (context.out.json ? Promise.resolve() : follow());
  try {
    const exited = await followUntilExit(context, client, started);
    await Promise.race([output, settle()]);
    return exitOf(exited);
  } finally {
    ending.abort();
    stop();
  }
}

/** Output may still be on its way when the exit is known; it is given this long to arrive. */
const OUTPUT_SETTLE_MS = 300;

function settle(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, OUTPUT_SETTLE_MS);
  return promise;
}

/** A refusal that was printed as an event: only its exit status is left to say. */
class ShownRefusal extends Error {
  readonly exit: ExitStatus;

  constructor(exit: ExitStatus) {
    super('refused, as the event says');
    this.exit = exit;
  }
}

async function followUntilExit(
  context: CliContext,
  client: Client,
  { workload, instance }: Started,
): Promise<EventOf<'exited'>> {
  const path = `/v1/events?workload=${encodeURIComponent(workload)}&after=0`;
  // Events up to `started` came with the reply of the request; the stream repeats them.
  let isLive = false;
  for await (const { value } of client.events(path)) {
    const event = workloadEvent.parse(value);
    if (isLive) showEvent(context, event);
    if (event.event === 'started' && event.instance === instance) isLive = true;
    if (isLive && event.event === 'exited' && event.final) return event;
  }
  throw new CliError('CLI_NO_SUPERVISOR', 'the supervisor went away; the workload goes on', {
    exit: exitStatus.unavailable,
    hint: `provost inspect ${workload} shows it; provost events --workload ${workload} follows it.`,
  });
}

function exitOf(exited: EventOf<'exited'>): number {
  if (exited.reason === 'time limit') return exitStatus.timeLimit;
  if (exited.reason === 'memory limit') return exitStatus.memoryLimit;
  return exited.code;
}

function stopOnSignals(client: Client, workload: string): () => void {
  let asked = false;
  const stop = (): void => {
    const timeoutMs = asked ? 0 : null;
    asked = true;
    client
      .call({ method: 'POST', path: `/v1/workloads/${workload}/stop`, body: { timeoutMs } })
      // It may have ended by itself in the meantime; the event stream says how.
      .catch(() => undefined);
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return () => {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  };
}

function showEvent(context: CliContext, event: WorkloadEvent): void {
  const { out } = context;
  if (event.event === 'progress') return out.progress(event.step, event.ratio);
  if (out.json) return out.object(event);
  switch (event.event) {
    case 'admitted':
      return out.message(
        `${out.paint('bold', event.workload)}: score ${event.score.toFixed(2)}, ${tierText(out, event.grantedTier)}: ` +
          `${event.grant.cpu.millicores} millicores, ${formatSize(event.grant.memory.bytes)}, network ${event.grant.network}, ${event.driver}`,
      );
    case 'grant':
      return out.message(
        `${out.paint('bold', event.workload)}: ${tierText(out, event.fromTier)} → ${tierText(out, event.toTier)} (${event.score.toFixed(2)}): ${event.reason}`,
      );
    case 'incident':
      return out.message(
        `${out.paint('red', `incident ${event.id}`)} (${event.severity} ${event.kind}): ${event.evidence.join('; ')} → ${event.actions.join(', ')}`,
      );
    case 'exited':
      return event.final && event.reason !== 'exited'
        ? out.message(`${event.workload}: ended: ${event.reason}`)
        : undefined;
    case 'refused':
    case 'started':
    case 'window':
      return undefined;
  }
}
