// The table of watched groups in the kernel's memory, and who has which slot in it.
import * as layout from '../bpf/sensor-layout.ts';

/** A group's place in the kernel. */
export interface GroupSlot {
  readonly slot: number;
  /** Where its grams are counted; null when nobody asks for them, or all places are taken. */
  gramSlot: number | null;
}

/** Hands out slots and writes the table. Slots are used again as late as possible. */
export class GroupTable {
  readonly #words: BigUint64Array;
  readonly #slots = new Map<bigint, GroupSlot>();
  readonly #freeSlots: number[];
  readonly #freeGramSlots: number[] = Array.from({ length: layout.GRAM_SLOTS }, (_, index) => index);

  constructor(memory: ArrayBuffer, slots: number) {
    this.#words = new BigUint64Array(memory);
    this.#freeSlots = Array.from({ length: slots }, (_, index) => index);
  }

  /** Watches a group, or changes its level. Null when there is no room for it. */
  put(cgroupId: bigint, isDetailed: boolean): GroupSlot | null {
    const place = this.#placeOf(cgroupId) ?? this.#placeOf(0n, cgroupId);
    const held = this.#slots.get(cgroupId) ?? this.#newSlot(place);
    if (place === null || held === null) return null;
    if (isDetailed) held.gramSlot ??= this.#freeGramSlots.shift() ?? null;
    else this.#freeGrams(held);
    const gramWord = BigInt(held.gramSlot === null ? 0 : held.gramSlot + 1) << BigInt(layout.GRAM_SLOT_SHIFT);
    const level = isDetailed ? layout.watchLevel.detailed : layout.watchLevel.standard;
    // The word comes before the id, by which the kernel finds it.
    Atomics.store(this.#words, place + 1, BigInt(held.slot) | gramWord | (level << BigInt(layout.LEVEL_SHIFT)));
    Atomics.store(this.#words, place, cgroupId);
    this.#slots.set(cgroupId, held);
    return held;
  }

  get(cgroupId: bigint): GroupSlot | null {
    return this.#slots.get(cgroupId) ?? null;
  }

  delete(cgroupId: bigint): void {
    const held = this.#slots.get(cgroupId);
    const place = this.#placeOf(cgroupId);
    if (held === undefined || place === null) return;
    Atomics.store(this.#words, place, 0n);
    this.#freeGrams(held);
    this.#freeSlots.push(held.slot);
    this.#slots.delete(cgroupId);
  }

  #newSlot(place: number | null): GroupSlot | null {
    const slot = place === null ? undefined : this.#freeSlots.shift();
    return slot === undefined ? null : { slot, gramSlot: null };
  }

  #freeGrams(held: GroupSlot): void {
    if (held.gramSlot !== null) this.#freeGramSlots.push(held.gramSlot);
    held.gramSlot = null;
  }

  /** Index of the place that holds `id`, in the bucket of `cgroupId`. */
  #placeOf(id: bigint, cgroupId: bigint = id): number | null {
    const bucket = Number(cgroupId & BigInt(layout.GROUP_BUCKETS - 1));
    for (let place = 0; place < layout.GROUP_PLACES; place += 1) {
      const index = 2 * (bucket * layout.GROUP_PLACES + place);
      if (this.#words[index] === id) return index;
    }
    return null;
  }
}
