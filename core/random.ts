/**
 * Seeded, serialisable random numbers: xoshiro128** (Blackman & Vigna 2018, "Scrambled linear pseudorandom
 * number generators"), seeded through splitmix32. The same seed gives the same stream on every platform.
 */

function splitmix32(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x9e3779b9) >>> 0;
    let t = a ^ (a >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
  };
}

/** A 32-bit seed for the stream named by `labels`, independent of the streams of other labels. */
export function deriveSeed(seed: number, ...labels: readonly (number | string)[]): number {
  let state = seed >>> 0;
  for (const label of labels) {
    const words = typeof label === "number" ? [label >>> 0] : Array.from(label, (c) => c.codePointAt(0) ?? 0);
    for (const word of [...words, words.length])
      state = splitmix32(state ^ Math.imul(word + 1, 0x85ebca6b))();
  }
  return state;
}

export type RandomState = readonly [number, number, number, number];

export class Random {
  private readonly s = new Uint32Array(4);

  constructor(seed: number) {
    const next = splitmix32(seed);
    for (let i = 0; i < 4; i++) this.s[i] = next();
  }

  static fromState(state: RandomState): Random {
    const random = new Random(0);
    random.s.set(state);
    return random;
  }

  /** Enough to continue the stream exactly where it stands. */
  state(): RandomState {
    return [this.s[0]!, this.s[1]!, this.s[2]!, this.s[3]!];
  }

  /** Uniform 32-bit unsigned integer. */
  nextUint32(): number {
    const s = this.s;
    const s1 = s[1]!;
    const x = Math.imul(s1, 5);
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0;
    const t = s1 << 9;
    s[2]! ^= s[0]!;
    s[3]! ^= s1;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    const s3 = s[3]!;
    s[3] = (s3 << 11) | (s3 >>> 21);
    return result;
  }

  /** Uniform in [0, 1), 32 bits of resolution. */
  uniform(): number {
    return this.nextUint32() / 4294967296;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.uniform();
  }

  /** Uniform integer in [0, n), without modulo bias for n ≤ 2^32. */
  integer(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal (Box–Muller, one draw per call so that the stream has no hidden state). */
  normal(): number {
    const u = 1 - this.uniform();
    return Math.sqrt(-2 * Math.log(u)) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Shuffles in place (Fisher–Yates). */
  shuffle(items: Uint32Array): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const t = items[i]!;
      items[i] = items[j]!;
      items[j] = t;
    }
  }
}
