// Lists of small numbers by key, packed: an index of 833 traces would else take most of a detector's memory.

const SLOTS_FIRST = 4;

/** For each key the slots that it was put into, each once. */
export class SlotLists {
  /** The first element counts those after it that are in use. */
  readonly #lists = new Map<number, Uint16Array>();

  /** The list of a key, its length first; valid until the next change. Not an iterable of the slots: this is the innermost loop. */
  of(key: number): Uint16Array {
    return this.#lists.get(key) ?? NONE;
  }

  /** The keys that have slots, ascending. */
  keys(): number[] {
    return [...this.#lists.keys()].sort((a, b) => a - b);
  }

  count(key: number): number {
    return this.#lists.get(key)?.[0] ?? 0;
  }

  put(key: number, slot: number): void {
    const list = this.#roomy(key);
    const count = (list[0] ?? 0) + 1;
    list[count] = slot;
    list[0] = count;
  }

  drop(key: number, slot: number): void {
    const list = this.#lists.get(key);
    const at = list?.indexOf(slot, 1) ?? -1;
    if (list === undefined || at < 0 || at > (list[0] ?? 0)) return;
    list.copyWithin(at, at + 1, 1 + (list[0] ?? 0));
    list[0] = (list[0] ?? 0) - 1;
    if (list[0] === 0) this.#lists.delete(key);
  }

  #roomy(key: number): Uint16Array {
    const list = this.#lists.get(key);
    if (list !== undefined && 1 + (list[0] ?? 0) < list.length) return list;
    const wider = new Uint16Array(list === undefined ? 1 + SLOTS_FIRST : 1 + Math.ceil((list.length - 1) * 1.5));
    if (list !== undefined) wider.set(list);
    this.#lists.set(key, wider);
    return wider;
  }
}

const NONE = new Uint16Array(1);
