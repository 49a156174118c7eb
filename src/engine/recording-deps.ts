// What an artifact is made of, as a statement to sign: its dependency files, or an SBOM of it, judged by where all comes from.
import { type Artifact, type ArtifactFile, findFiles, type FoundFiles } from '../artifact/index.ts';
import { canonicalJson, exitStatus, KIB, MIB } from '../base/index.ts';
import {
  type DependencyDescription,
  type DependencyFault,
  describeDependencies,
  excerptOf,
  type Inventory,
  isDependencyFile,
  parseSbom,
  readInventory,
} from '../provenance/index.ts';
import { readArtifact } from './admission.ts';
import type { EngineContext } from './context.ts';
import { defaultOrigins, readOrigins } from './default-origins.ts';
import { EngineError } from './errors.ts';
import { openReadContext, type ReadOptions } from './reading.ts';

/** As many as an inventory is made of: each Debian package has one. */
const FILES_MAX = 16_384;
/** A full desktop image has about 100 MiB of package databases. */
const FILES_BYTES_MAX = 256 * MIB;
/** What is signed is wrapped in base64, and an envelope of more than 8 MiB is read by nobody. */
const PREDICATE_BYTES_MAX = 6 * MIB - 64 * KIB;

export interface DependencyOptions extends ReadOptions {
  /** An SBOM of the artifact, CycloneDX or SPDX, in place of its files. */
  readonly sbom: { readonly bytes: Uint8Array; readonly source: string } | null;
  /** A policy of origins, YAML or JSON, in place of the public registries. */
  readonly origins: { readonly text: string; readonly source: string } | null;
}

/** What there is to sign about an artifact's dependencies, and what it is worth. */
export interface DependencyReport {
  readonly artifact: { readonly digest: string; readonly kind: string; readonly name: string };
  readonly predicateType: string;
  /** A CycloneDX document. */
  readonly predicate: Readonly<Record<string, unknown>>;
  readonly dependencies: { readonly count: number; readonly byEcosystem: Readonly<Record<string, number>> };
  /** Worst first. */
  readonly findings: readonly DependencyFault[];
  /** For the check `build.dependencies`. */
  readonly evidence: DependencyDescription['findings']['evidence'][number];
}

/**
 * Reads what an artifact is made of, and judges it. Nothing is recorded.
 *
 * @throws EngineError ENGINE_NO_DEPENDENCIES when no file of the artifact says it, ENGINE_PREDICATE_SIZE, ENGINE_ORIGINS;
 * ProvenanceError for an SBOM, a file or a policy that cannot be read; ArtifactError
 */
export async function reportDependencies(options: DependencyOptions): Promise<DependencyReport> {
  const { sbom, origins } = options;
  const policy = origins === null ? defaultOrigins() : readOrigins(origins.text, origins.source);
  const given = sbom === null ? null : parseSbom(sbom.bytes, `the SBOM ${sbom.source}`);
  await using context = await openReadContext(options.homeDir);
  const artifact = await readArtifact(context, options, options.progress);
  const inventory = given ?? (await inventoryOf(context, artifact));
  const described = describeDependencies({ artifact, inventory, policy });
  const [evidence] = described.findings.evidence;
  const { predicateType, predicate, dependencies, faults } = described;
  if (predicate === null || evidence === undefined) throw noDependencies(artifact);
  refuseTooLarge(predicate);
  const groups = Map.groupBy(dependencies, ({ dependency }) => dependency.ecosystem);
  const counts = [...groups].map(([ecosystem, { length }]) => [ecosystem, length] as const);
  return {
    artifact: { digest: artifact.digest, kind: artifact.kind, name: artifact.name },
    predicateType,
    predicate,
    dependencies: {
      count: dependencies.length,
      byEcosystem: Object.fromEntries(counts.sort(([a, most], [b, more]) => more - most || (a < b ? -1 : 1))),
    },
    findings: faults,
    evidence,
  };
}

/** Where the name of the distribution is: the first is nearly always a link to the second. */
const OS_RELEASE = ['etc/os-release', 'usr/lib/os-release'] as const;
/** What names a host, and so all that a statement about it may speak of. */
const SYSTEM_FILE = /^(?:var\/lib\/dpkg|(?:usr\/)?lib\/apk\/db)\//;
const SYSTEM_FOLDERS = ['etc', 'usr/lib', 'var/lib/dpkg/info', 'lib/apk/db', 'usr/lib/apk/db'] as const;
/** Where `lib` is a link to `usr/lib`, the database of apk is found there alone. */
const MERGED_APK = 'usr/lib/apk/db/installed';
const APK = 'lib/apk/db/installed';

async function inventoryOf(context: Pick<EngineContext, 'content'>, artifact: Artifact): Promise<Inventory | null> {
  const isHost = artifact.kind === 'host';
  const found = await findFiles(
    artifact,
    {
      isWanted: (path) => isNeeded(path) && (!isHost || isOsRelease(path) || SYSTEM_FILE.test(path)),
      isEntered: (path) => !isHost || SYSTEM_FOLDERS.some((folder) => `${folder}/`.startsWith(`${path}/`)),
      filesMax: FILES_MAX,
      bytesMax: FILES_BYTES_MAX,
    },
    context.content,
  );
  const inventory = readInventory(dependencyFilesOf(found), vendorOf(found.files));
  return withUnread(inventory, found);
}

function isNeeded(path: string): boolean {
  return isDependencyFile(path) || isOsRelease(path) || path === MERGED_APK;
}

function isOsRelease(path: string): boolean {
  return OS_RELEASE.some((known) => known === path);
}

function dependencyFilesOf({ files }: FoundFiles): ArtifactFile[] {
  const hasApk = files.some(({ path }) => path === APK);
  return files
    .map((file) => (file.path === MERGED_APK && !hasApk ? { ...file, path: APK } : file))
    .filter(({ path }) => isDependencyFile(path));
}

/** attacker-controlled: a name that is none of a distribution counts for nothing. */
function vendorOf(files: readonly ArtifactFile[]): { readonly deb: string; readonly apk: string } {
  const file = OS_RELEASE.map((path) => files.find((it) => it.path === path)).find((it) => it !== undefined);
  const id = /^ID=(["']?)([a-z0-9._-]{1,64})\1$/m.exec(file?.bytes.toString('latin1') ?? '')?.[2];
  return { deb: id ?? 'debian', apk: id ?? 'alpine' };
}

/** A list of dependencies that was there but not read is something that nobody has judged. */
function withUnread(inventory: Inventory | null, { unread }: FoundFiles): Inventory | null {
  const findings = unread
    .filter(({ path }) => isDependencyFile(path))
    .map(({ path, reason }) => ({ kind: 'not-read', subject: excerptOf(path, 80), detail: reason }) as const);
  if (inventory === null) return null;
  return { ...inventory, findings: [...inventory.findings, ...findings] };
}

function noDependencies({ digest }: Artifact): EngineError {
  return new EngineError('ENGINE_NO_DEPENDENCIES', `no file of ${digest} says what it is made of`, {
    exit: exitStatus.evidenceMissing,
    hint: 'Put a lockfile or an SBOM into it, or give its SBOM with --sbom FILE.',
  });
}

function refuseTooLarge(predicate: unknown): void {
  const bytes = Buffer.byteLength(canonicalJson(predicate));
  if (bytes <= PREDICATE_BYTES_MAX) return;
  throw new EngineError(
    'ENGINE_PREDICATE_SIZE',
    `the list of dependencies has ${bytes} bytes; a statement holds ${PREDICATE_BYTES_MAX}`,
    {
      exit: exitStatus.denied,
      hint: 'Record the parts of the artifact by themselves.',
    },
  );
}
