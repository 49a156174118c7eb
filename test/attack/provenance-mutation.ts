// How a case of the attack corpus changes a valid document: on its JSON, on its text, or whole.
import { expect } from 'vitest';
import { z } from 'zod';

/** A change as data. Paths are JSON pointers; `{{name}}` in texts stands for a value of the run. */
export const mutationSchema = z.strictObject({
  set: z.record(z.string(), z.unknown()).optional(),
  remove: z.array(z.string()).optional(),
  /** From pointer to pointer. */
  copy: z.record(z.string(), z.string()).optional(),
  /** Arrays that get copies of their first element until they have so many. */
  grow: z.record(z.string(), z.int().min(1)).optional(),
  /** Texts that become `unit` so many times. */
  fill: z.record(z.string(), z.tuple([z.string(), z.int().min(1)])).optional(),
  /** On the serialised text; each must be there. */
  replace: z.array(z.tuple([z.string(), z.string()])).optional(),
  prepend: z.string().optional(),
  append: z.string().optional(),
  /** The whole text, or the whole bytes. */
  literal: z.string().optional(),
  hex: z.string().optional(),
  /** The whole text: before, unit, count, after. */
  endless: z.tuple([z.string(), z.string(), z.int().min(1), z.string()]).optional(),
});
export type Mutation = z.infer<typeof mutationSchema>;

/** Values that `{{name}}` stands for. */
export type Values = Readonly<Record<string, string>>;

/** JSON of which a pointer says what it is. */
type Node = Record<string, unknown>;

/** Changes a document's JSON. */
export function mutateValue(document: unknown, mutation: Mutation, values: Values = {}): unknown {
  const root: Node = { document: structuredClone(document) };
  for (const [pointer, value] of Object.entries(mutation.set ?? {})) put(root, pointer, expand(value, values));
  for (const [from, to] of Object.entries(mutation.copy ?? {})) put(root, to, structuredClone(get(root, from)));
  for (const [pointer, count] of Object.entries(mutation.grow ?? {})) {
    const [first] = get(root, pointer) as unknown[];
    put(
      root,
      pointer,
      Array.from({ length: count }, () => structuredClone(first)),
    );
  }
  for (const [pointer, [unit, count]] of Object.entries(mutation.fill ?? {})) put(root, pointer, unit.repeat(count));
  for (const pointer of mutation.remove ?? []) {
    const { parent, key } = locate(root, pointer);
    expect(Object.hasOwn(parent, key), `${pointer} is there to be removed`).toBe(true);
    if (Array.isArray(parent)) parent.splice(Number(key), 1);
    else delete parent[key];
  }
  return root['document'];
}

/** Changes a document and its text, as `serialise` writes it. */
export function mutateBytes(
  document: unknown,
  mutation: Mutation,
  { values = {}, serialise = JSON.stringify }: { values?: Values; serialise?: (value: unknown) => string } = {},
): Buffer {
  if (mutation.hex !== undefined) return Buffer.from(mutation.hex, 'hex');
  if (mutation.literal !== undefined) return Buffer.from(expandText(mutation.literal, values));
  if (mutation.endless !== undefined) {
    const [before, unit, count, after] = mutation.endless;
    return Buffer.from(before + unit.repeat(count) + after);
  }
  let text = serialise(mutateValue(document, mutation, values));
  for (const [from, to] of mutation.replace ?? []) {
    const wanted = expandText(from, values);
    expect(text.includes(wanted), `the text has ${wanted}`).toBe(true);
    text = text.replace(wanted, () => expandText(to, values));
  }
  return Buffer.from(expandText(mutation.prepend ?? '', values) + text + expandText(mutation.append ?? '', values));
}

function expand(value: unknown, values: Values): unknown {
  if (typeof value === 'string') return expandText(value, values);
  if (Array.isArray(value)) return value.map((each) => expand(each, values));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, expand(each, values)]));
}

function expandText(text: string, values: Values): string {
  return text.replaceAll(/\{\{([A-Za-z]+)\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value is called ${name}`);
    return value;
  });
}

function locate(root: Node, pointer: string): { parent: Node; key: string } {
  const steps = ['document', ...pointer.split('/').slice(1)];
  const key = steps.pop() ?? '';
  let parent = root;
  for (const step of steps) parent = parent[step] as Node;
  return { parent, key };
}

function get(root: Node, pointer: string): unknown {
  const { parent, key } = locate(root, pointer);
  return parent[key];
}

function put(root: Node, pointer: string, value: unknown): void {
  const { parent, key } = locate(root, pointer);
  // A member called __proto__ must become one, as JSON.parse makes it, and not the prototype.
  Object.defineProperty(parent, key, { value, enumerable: true, writable: true, configurable: true });
}
