// A check of JSON against a JSON Schema, as far as the schema of CycloneDX goes: what it does not know, it leaves to the schema's makers.

type Schema = Readonly<Record<string, unknown>>;

/** What breaks the schema, one line each. References to other documents are not followed. */
export function schemaFaults(value: unknown, root: Schema): string[] {
  return faults(value, root, { root, path: '$' });
}

interface Place {
  readonly root: Schema;
  readonly path: string;
}

function faults(value: unknown, schema: Schema, place: Place): string[] {
  const reference = schema['$ref'];
  if (typeof reference === 'string') return faults(value, resolve(reference, place.root), place);
  const found = [...scalarFaults(value, schema, place), ...unionFaults(value, schema, place)];
  if (Array.isArray(value)) {
    const items = schema['items'] as Schema | undefined;
    if (items !== undefined) {
      found.push(...value.flatMap((item, at) => faults(item, items, { ...place, path: `${place.path}[${at}]` })));
    }
    if (schema['uniqueItems'] === true && new Set(value.map((item) => JSON.stringify(item))).size < value.length) {
      found.push(`${place.path}: says an item twice`);
    }
  } else if (typeof value === 'object' && value !== null) {
    found.push(...objectFaults(value as Record<string, unknown>, schema, place));
  }
  return found;
}

function resolve(reference: string, root: Schema): Schema {
  const name = /^#\/definitions\/(\w[\w-]*)$/.exec(reference)?.[1];
  return name === undefined ? {} : ((root['definitions'] as Record<string, Schema>)[name] ?? {});
}

function scalarFaults(value: unknown, schema: Schema, { path }: Place): string[] {
  const { type, enum: allowed, pattern, minLength, minimum } = schema;
  const found: string[] = [];
  if (typeof type === 'string' && !isOfType(value, type)) found.push(`${path}: is no ${type}`);
  if (Array.isArray(allowed) && !allowed.includes(value)) found.push(`${path}: is none of the enumeration`);
  if (typeof value === 'string') {
    if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value)) found.push(`${path}: has another form`);
    if (typeof minLength === 'number' && value.length < minLength) found.push(`${path}: is too short`);
  }
  if (typeof value === 'number' && typeof minimum === 'number' && value < minimum) found.push(`${path}: is too small`);
  return found;
}

function isOfType(value: unknown, type: string): boolean {
  switch (type) {
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

function unionFaults(value: unknown, schema: Schema, place: Place): string[] {
  for (const kind of ['anyOf', 'oneOf'] as const) {
    const options = schema[kind] as Schema[] | undefined;
    if (options !== undefined && !options.some((option) => faults(value, option, place).length === 0)) {
      return [`${place.path}: fits none of ${kind}`];
    }
  }
  return [];
}

function objectFaults(value: Record<string, unknown>, schema: Schema, place: Place): string[] {
  const properties = (schema['properties'] ?? {}) as Record<string, Schema>;
  const required = (schema['required'] ?? []) as string[];
  const missing = required.filter((name) => !Object.hasOwn(value, name)).map((name) => `${place.path}: lacks ${name}`);
  const found = Object.entries(value).flatMap(([name, member]) => {
    const path = `${place.path}.${name}`;
    if (Object.hasOwn(properties, name)) return faults(member, properties[name] ?? {}, { ...place, path });
    return schema['additionalProperties'] === false ? [`${path}: is not known`] : [];
  });
  return [...missing, ...found];
}
