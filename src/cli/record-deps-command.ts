// record deps: what an artifact is made of, judged by where it comes from, signed and in the ledger.
import type { Command } from 'commander';

import { exitStatus } from '../base/index.ts';
import type { AttestationDocument, DependencyOptions, DependencyReport } from '../engine/index.ts';
import { contextOf, type Finish } from './context.ts';
import { type Output, printable } from './output.ts';
import { absoluteReference, readInput } from './run-flags.ts';

/** Findings that a person reads; --json has them all. */
const FINDINGS_SHOWN_MAX = 20;

interface DepsFlags {
  readonly key: string;
  readonly sbom?: string;
  readonly origins?: string;
  readonly rootfs?: boolean;
  readonly strict?: boolean;
}

/** Adds `record deps`. */
export function addRecordDeps(record: Command, finish: Finish): void {
  record
    .command('deps')
    .summary('sign what an artifact is made of: its lockfiles and package databases, or an SBOM')
    .argument('<artifact>')
    .requiredOption('--key <name>', 'the key that signs')
    .option('--sbom <file>', 'an SBOM (CycloneDX or SPDX, JSON) in place of what the artifact’s files say')
    .option('--origins <file>', 'where dependencies may come from (YAML or JSON); default: the public registries')
    .option('--rootfs', 'the folder is a root file system')
    .option('--strict', 'exit 3 when anything is found wrong; it is recorded nevertheless')
    .addHelpText(
      'before',
      '\nExamples:\n  provost record deps oci:./web --key ci\n  provost record deps ./shop --key ci --origins origins.yaml --strict\n  provost record deps oci:./web --key ci --sbom web.cdx.json\n',
    )
    .action(async (artifact: string, flags: DepsFlags, command: Command) => {
      const { sbom, origins } = inputsOf(flags);
      const context = contextOf(command);
      const target = { reference: absoluteReference(artifact), rootfs: flags.rootfs === true };
      // The supervisor first: what is read then lands in its home, and is not read twice.
      const client = await context.client();
      const { reportDependencies } = await import('../engine/index.ts');
      const progress = (step: string, ratio: number | null): void => context.out.progress(step, ratio);
      const report = await reportDependencies({ homeDir: context.home.dir, ...target, sbom, origins, progress });
      context.out.done();
      const { predicateType, predicate } = report;
      const { digest } = report.artifact;
      const body = { ...target, predicateType, predicate, key: flags.key, digest };
      const recorded = await client.call<AttestationDocument>({ method: 'POST', path: '/v1/attestations', body });
      print(context.out, report, recorded, flags.key);
      finish(flags.strict === true && report.evidence.score < 1 ? exitStatus.denied : exitStatus.done);
    });
}

function inputsOf({ sbom, origins }: DepsFlags): Pick<DependencyOptions, 'sbom' | 'origins'> {
  return {
    sbom: sbom === undefined ? null : { bytes: readInput(sbom, 'SBOM'), source: sbom },
    origins:
      origins === undefined
        ? null
        : { text: readInput(origins, 'policy of origins').toString('utf8'), source: origins },
  };
}

function print(out: Output, report: DependencyReport, { logIndex }: AttestationDocument, key: string): void {
  const { artifact, dependencies, findings, evidence } = report;
  if (out.json) return out.object({ artifact, dependencies, findings, evidence, logIndex });
  const counts = Object.entries(dependencies.byEcosystem).map(([ecosystem, count]) => `${count} ${ecosystem}`);
  out.line(`${printable(artifact.name)}  ${artifact.digest}`);
  out.line(`${dependencies.count} dependencies${counts.length === 0 ? '' : `: ${printable(counts.join(', '))}`}`);
  const judged = out.paint(evidence.score === 1 ? 'green' : 'red', `${evidence.check} ${evidence.score}`);
  out.line(`${judged}: ${printable(evidence.reason)}`);
  for (const { kind, subject, detail } of findings.slice(0, FINDINGS_SHOWN_MAX))
    out.line(`  ${printable(`${kind} ${subject}: ${detail}`)}`);
  const more = findings.length - FINDINGS_SHOWN_MAX;
  if (more > 0) out.line(`  … and ${more} more; --json has them all`);
  out.line(`signed with ${printable(key)} (entry ${logIndex})`);
}
