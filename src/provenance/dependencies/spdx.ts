// SBOMs in SPDX JSON: the packages and how they relate to what the document describes.
import { z } from 'zod';
import { shown } from '../excerpt.ts';
import {
  badDependencies,
  checkCount,
  type Dependency,
  type DependencyScope,
  type Inventory,
  makeDependency,
} from './dependency.ts';
import { originOfPurl } from './cyclonedx.ts';
import { parseJsonDocument } from './document.ts';
import { inventoryOf } from './findings.ts';
import { algorithmNamed, type Hash, hexHash } from './hash.ts';
import { nameOfPurl, parsePurl, type Purl } from './purl.ts';

const DOCUMENT_ID = 'SPDXRef-DOCUMENT';

const elementId = z.string().regex(/^SPDXRef-[A-Za-z0-9.-]+$/, 'no SPDX identifier');
/** An element of another document, or of none. */
const anyElementId = z.string().max(1024);

const wirePackage = z.object({
  SPDXID: elementId,
  name: z.string(),
  versionInfo: z.string().optional(),
  downloadLocation: z.string(),
  checksums: z.array(z.object({ algorithm: z.string(), checksumValue: z.string() })).optional(),
  externalRefs: z
    .array(z.object({ referenceCategory: z.string(), referenceType: z.string(), referenceLocator: z.string() }))
    .optional(),
});

type WirePackage = z.infer<typeof wirePackage>;

const wireDocument = z.object({
  spdxVersion: z.enum(['SPDX-2.2', 'SPDX-2.3']),
  SPDXID: z.literal(DOCUMENT_ID),
  name: z.string(),
  dataLicense: z.literal('CC0-1.0'),
  documentNamespace: z.string().regex(/^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s#]+$/, 'no URI without a fragment'),
  creationInfo: z.object({ created: z.iso.datetime(), creators: z.array(z.string()).min(1) }),
  documentDescribes: z.array(anyElementId).optional(),
  packages: z.array(wirePackage).optional(),
  relationships: z
    .array(z.object({ spdxElementId: anyElementId, relatedSpdxElement: anyElementId, relationshipType: z.string() }))
    .optional(),
});

type WireDocument = z.infer<typeof wireDocument>;

const SCOPE_RELATIONSHIPS: ReadonlyMap<string, DependencyScope> = new Map([
  ['DEV_DEPENDENCY_OF', 'development'],
  ['BUILD_DEPENDENCY_OF', 'development'],
  ['TEST_DEPENDENCY_OF', 'development'],
  ['BUILD_TOOL_OF', 'development'],
  ['TEST_TOOL_OF', 'development'],
  ['DEV_TOOL_OF', 'development'],
  ['OPTIONAL_DEPENDENCY_OF', 'optional'],
]);

/**
 * Parses an SPDX SBOM, 2.2 or 2.3. A package that alone is what the document describes is no dependency of itself.
 *
 * @throws ProvenanceError PROVENANCE_JSON, PROVENANCE_DEPENDENCIES
 * @source https://spdx.github.io/spdx-spec/v2.3/
 */
export function parseSpdx(bytes: Uint8Array, what = 'the SPDX SBOM'): Inventory {
  const document = parseJsonDocument(bytes, wireDocument, what);
  const packages = document.packages ?? [];
  checkCount(packages.length, what);
  checkIds(packages, what);
  const described = describedBy(document);
  const scopes = scopesOf(document);
  // A document that describes many is a list of packages: none of them may hide behind being described.
  const parts = described.size === 1 ? packages.filter(({ SPDXID }) => !described.has(SPDXID)) : packages;
  return inventoryOf(parts.map((it) => readPackage(it, scopes.get(it.SPDXID) ?? 'required', what)));
}

function checkIds(packages: readonly WirePackage[], what: string): void {
  const seen = new Set<string>();
  for (const { SPDXID } of packages) {
    if (seen.has(SPDXID)) throw badDependencies(what, `says the identifier ${shown(SPDXID)} twice`);
    seen.add(SPDXID);
  }
}

function describedBy({ documentDescribes = [], relationships = [] }: WireDocument): ReadonlySet<string> {
  const related = relationships.flatMap(({ spdxElementId, relatedSpdxElement, relationshipType }) => {
    if (relationshipType === 'DESCRIBES' && spdxElementId === DOCUMENT_ID) return [relatedSpdxElement];
    return relationshipType === 'DESCRIBED_BY' && relatedSpdxElement === DOCUMENT_ID ? [spdxElementId] : [];
  });
  return new Set([...documentDescribes, ...related]);
}

/** What is needed to run by one relationship is not made less by another. */
function scopesOf({ relationships = [] }: WireDocument): ReadonlyMap<string, DependencyScope> {
  const scopes = new Map<string, DependencyScope>();
  for (const { spdxElementId, relatedSpdxElement, relationshipType } of relationships) {
    const scope = SCOPE_RELATIONSHIPS.get(relationshipType);
    if (scope !== undefined && !scopes.has(spdxElementId)) scopes.set(spdxElementId, scope);
    if (scope === 'optional' && scopes.get(spdxElementId) === 'development') scopes.set(spdxElementId, scope);
    if (relationshipType === 'DEPENDENCY_OF') scopes.set(spdxElementId, 'required');
    if (relationshipType === 'DEPENDS_ON') scopes.set(relatedSpdxElement, 'required');
  }
  return scopes;
}

function readPackage(wire: WirePackage, scope: DependencyScope, what: string): Dependency {
  const locator = wire.externalRefs?.find(({ referenceType }) => referenceType === 'purl')?.referenceLocator;
  const purl = locator === undefined ? null : parsePurl(locator, what);
  const version = wire.versionInfo === undefined || wire.versionInfo === '' ? null : wire.versionInfo;
  return makeDependency(
    {
      purl: purl?.text ?? null,
      ecosystem: purl?.type ?? 'generic',
      name: purl === null ? wire.name : nameOfPurl(purl),
      version: purl?.version ?? version,
      hashes: (wire.checksums ?? []).flatMap((checksum) => readChecksum(checksum, what) ?? []),
      origin: originOf(wire, purl),
      scope,
    },
    what,
  );
}

/** Null for an algorithm that SPDX names and nobody uses. */
function readChecksum(
  { algorithm: name, checksumValue }: { algorithm: string; checksumValue: string },
  what: string,
): Hash | null {
  // Of no fixed length, so that there is nothing to check.
  if (name === 'MD6') return null;
  const algorithm = algorithmNamed(name, 'spdx');
  if (algorithm === null) throw badDependencies(what, `has a checksum by ${shown(name)}, which SPDX does not know`);
  const hash = hexHash(algorithm, checksumValue);
  if (hash === null) throw badDependencies(what, `has a checksum that is no ${name}: ${shown(checksumValue)}`);
  return hash;
}

function originOf({ downloadLocation }: WirePackage, purl: Purl | null): string | null {
  const isNamed = downloadLocation !== 'NOASSERTION' && downloadLocation !== 'NONE' && downloadLocation !== '';
  return isNamed ? downloadLocation : originOfPurl(purl);
}
