// The last values of a score that normal behaviour had, kept sorted, so that a new one can be ranked among them.

/** The most recent values, at most so many; older ones are forgotten. */
export class Ranks {
  readonly #countMax: number;
  readonly #inOrder: number[] = [];
  #sorted = new Float64Array(64);
  #count = 0;
  #next = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  add(value: number): void {
    const oldest = this.#inOrder[this.#next];
    if (oldest !== undefined) this.#drop(oldest);
    this.#inOrder[this.#next] = value;
    this.#next = (this.#next + 1) % this.#countMax;
    if (this.#count === this.#sorted.length) this.#widen();
    const at = this.#below(value);
    this.#sorted.copyWithin(at + 1, at, this.#count);
    this.#sorted[at] = value;
    this.#count += 1;
  }

  /** (1 + values not below this one) ÷ (1 + values): the conformal p-value, ties counted against it. */
  pValue(value: number): number {
    return (1 + this.#count - this.#below(value)) / (1 + this.#count);
  }

  #widen(): void {
    const wider = new Float64Array(2 * this.#sorted.length);
    wider.set(this.#sorted);
    this.#sorted = wider;
  }

  #drop(value: number): void {
    const at = this.#below(value);
    this.#sorted.copyWithin(at, at + 1, this.#count);
    this.#count -= 1;
  }

  #below(value: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#sorted[middle] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
