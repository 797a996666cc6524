/** A typed array of which nobody knows at first how long it will be. */

type Numbers = Float32Array | Int32Array | Uint32Array | Uint8Array;

export class Growing<A extends Numbers> {
  private array: A;
  private length = 0;

  /** `make` gives an array of that many zeros. */
  constructor(private readonly make: (length: number) => A) {
    this.array = make(64);
  }

  /** Appends `width` elements of `from`, beginning at `at`. */
  push(from: ArrayLike<number>, at = 0, width = 1): void {
    if (this.length + width > this.array.length) {
      const larger = this.make(Math.max(2 * this.array.length, this.length + width));
      larger.set(this.array);
      this.array = larger;
    }
    for (let k = 0; k < width; k++) this.array[this.length++] = from[at + k]!;
  }

  /** All that was appended, in an array of its own. */
  whole(): A {
    const whole = this.make(this.length);
    whole.set(this.array.subarray(0, this.length));
    return whole;
  }
}
