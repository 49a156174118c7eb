// SBOMs in CycloneDX JSON: the components, wherever they are nested, and nothing of what else a BOM may hold.
import { z } from 'zod';
import { shown } from '../excerpt.ts';
import {
  badDependencies,
  checkCount,
  type Dependency,
  type DependencyFinding,
  type DependencyScope,
  type Inventory,
  labelOf,
  makeDependency,
} from './dependency.ts';
import { parseJsonDocument } from './document.ts';
import { inventoryOf } from './findings.ts';
import { algorithmNamed, base64Hash, type Hash, hexHash } from './hash.ts';
import { nameOfPurl, parsePurl, type Purl } from './purl.ts';

/** Versions of the format that are read. */
export const CYCLONEDX_VERSIONS = ['1.4', '1.5', '1.6', '1.7'] as const;

/** Properties of ours, for what the standard has no field for. */
export const MODULE_HASH_PROPERTY = 'provost:h1';
export const ALIAS_PROPERTY = 'provost:alias';

const SERIAL_NUMBER = /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const COMPONENT_TYPES = [
  'application',
  'framework',
  'library',
  'container',
  'platform',
  'operating-system',
  'device',
  'device-driver',
  'firmware',
  'file',
  'machine-learning-model',
  'data',
  'cryptographic-asset',
] as const;

// What is not read is not checked: licences, services, pedigree, vulnerabilities and the rest of a BOM.
const wireComponent = z.object({
  type: z.enum(COMPONENT_TYPES),
  'bom-ref': z.string().min(1).optional(),
  group: z.string().optional(),
  name: z.string(),
  version: z.string().optional(),
  purl: z.string().optional(),
  scope: z.enum(['required', 'optional', 'excluded']).optional(),
  hashes: z.array(z.object({ alg: z.string(), content: z.string() })).optional(),
  externalReferences: z.array(z.object({ type: z.string(), url: z.string() })).optional(),
  properties: z.array(z.object({ name: z.string(), value: z.string().optional() })).optional(),
  get components() {
    return z.array(wireComponent).optional();
  },
});

type WireComponent = z.infer<typeof wireComponent>;

const wireBom = z.object({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.enum(CYCLONEDX_VERSIONS),
  serialNumber: z.string().regex(SERIAL_NUMBER, 'no urn:uuid').optional(),
  version: z.int().min(1).optional(),
  metadata: z
    .object({ timestamp: z.iso.datetime({ offset: true }).optional(), component: wireComponent.optional() })
    .optional(),
  components: z.array(wireComponent).optional(),
  dependencies: z
    .array(z.object({ ref: z.string().min(1), dependsOn: z.array(z.string().min(1)).optional() }))
    .optional(),
});

const SCOPES: Readonly<Record<NonNullable<WireComponent['scope']>, DependencyScope>> = {
  required: 'required',
  optional: 'optional',
  // The standard: "components that are excluded … for test and other non-runtime purposes".
  excluded: 'development',
};

/**
 * Parses a CycloneDX SBOM, 1.4 to 1.7. The component that the BOM is about is no dependency of itself; its parts are.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES
 * @source https://cyclonedx.org/docs/1.6/json/
 */
export function parseCycloneDx(bytes: Uint8Array, what = 'the CycloneDX SBOM'): Inventory {
  const bom = parseJsonDocument(bytes, wireBom, what);
  const components = [...flatten(bom.metadata?.component?.components), ...flatten(bom.components)];
  checkCount(components.length, what);
  checkReferences([bom.metadata?.component, ...components], what);
  const read = components.map((component) => readComponent(component, what));
  return inventoryOf(
    read.map(({ dependency }) => dependency),
    read.flatMap(({ finding }) => finding ?? []),
  );
}

/** Nesting is bounded by the reader of JSON. */
function flatten(components: readonly WireComponent[] | undefined): WireComponent[] {
  return (components ?? []).flatMap((component) => [component, ...flatten(component.components)]);
}

function checkReferences(components: readonly (WireComponent | undefined)[], what: string): void {
  const seen = new Set<string>();
  for (const component of components) {
    const ref = component?.['bom-ref'];
    if (ref === undefined) continue;
    if (seen.has(ref)) throw badDependencies(what, `says the bom-ref ${shown(ref)} twice`);
    seen.add(ref);
  }
}

function readComponent(
  component: WireComponent,
  what: string,
): { dependency: Dependency; finding: DependencyFinding | null } {
  const purl = component.purl === undefined ? null : parsePurl(component.purl, what);
  const version = component.version === undefined || component.version === '' ? null : component.version;
  const dependency = makeDependency(
    {
      purl: purl?.text ?? null,
      ecosystem: purl?.type ?? 'generic',
      name: nameOf(component, purl),
      version: purl?.version ?? version,
      hashes: [...(component.hashes ?? []).map((hash) => readHash(hash, what)), ...moduleHashes(component, what)],
      origin: originOf(component, purl),
      scope: SCOPES[component.scope ?? 'required'],
      alias: propertiesNamed(component, ALIAS_PROPERTY)[0] ?? null,
    },
    what,
  );
  const disagrees = purl !== null && purl.version !== null && version !== null && purl.version !== version;
  if (!disagrees) return { dependency, finding: null };
  const detail = `its component says version ${shown(version)}, its purl another`;
  return { dependency, finding: { kind: 'name-mismatch', subject: labelOf(dependency), detail } };
}

/** What the purl says, in the component's case where it is but that: a purl of npm has no upper case. */
function nameOf({ group, name }: WireComponent, purl: Purl | null): string {
  const given = group === undefined || group === '' ? name : `${group}/${name}`;
  const named = purl === null ? given : nameOfPurl(purl);
  return given.toLowerCase() === named.toLowerCase() ? given : named;
}

function propertiesNamed({ properties = [] }: WireComponent, wanted: string): string[] {
  return properties.flatMap(({ name, value }) => (name === wanted && value !== undefined ? [value] : []));
}

/** The standard has no name for Go's hash of a module. */
function moduleHashes(component: WireComponent, what: string): Hash[] {
  return propertiesNamed(component, MODULE_HASH_PROPERTY).map((value) => {
    const hash = value.startsWith('h1:') ? base64Hash('h1', value.slice('h1:'.length)) : null;
    if (hash === null) throw badDependencies(what, `has a hash of a module that is none: ${shown(value)}`);
    return hash;
  });
}

function readHash({ alg, content }: { alg: string; content: string }, what: string): Hash {
  const algorithm = algorithmNamed(alg, 'cycloneDx');
  if (algorithm === null) throw badDependencies(what, `has a hash by ${shown(alg)}, which CycloneDX does not know`);
  const hash = hexHash(algorithm, content);
  if (hash === null) throw badDependencies(what, `has a hash that is no ${alg}: ${shown(content)}`);
  return hash;
}

/** Where the very file comes from, else the registry that the purl names. */
function originOf({ externalReferences = [] }: WireComponent, purl: Purl | null): string | null {
  const distribution = externalReferences.find(({ type }) => type === 'distribution')?.url;
  return distribution ?? originOfPurl(purl);
}

/** What a purl says about where its package comes from; null when it leaves it to the default of its ecosystem. */
export function originOfPurl(purl: Purl | null): string | null {
  return purl?.qualifiers.get('download_url') ?? purl?.qualifiers.get('repository_url') ?? null;
}
