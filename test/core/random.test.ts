import { describe, expect, it } from "vitest";
import { deriveSeed, Random } from "../../core/random.js";

const draws = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);

/** Mean and variance of n draws; both with bounds of five standard errors, so that a wrong constant cannot hide. */
function moments(values: readonly number[]): { mean: number; variance: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return { mean, variance: values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length };
}

/** xoshiro128** as its authors' reference code does it, on BigInts. */
function* reference(state: readonly number[]): Generator<number> {
  const mask = 0xffff_ffffn;
  const rotl = (x: bigint, k: bigint): bigint => ((x << k) | (x >> (32n - k))) & mask;
  const s = state.map(BigInt);
  for (;;) {
    yield Number((rotl((s[1]! * 5n) & mask, 7n) * 9n) & mask);
    const t = (s[1]! << 9n) & mask;
    s[2]! ^= s[0]!;
    s[3]! ^= s[1]!;
    s[1]! ^= s[2]!;
    s[0]! ^= s[3]!;
    s[2]! ^= t;
    s[3] = rotl(s[3]!, 11n);
  }
}

describe("a random stream", () => {
  it("is xoshiro128**, bit for bit", () => {
    const random = new Random(42);
    const expected = reference(random.state());
    for (let k = 0; k < 1000; k++) expect(random.nextUint32()).toBe(expected.next().value);
  });

  it("is the same for the same seed and another for any other seed", () => {
    const stream = (seed: number): number[] => {
      const random = new Random(seed);
      return draws(8, () => random.nextUint32());
    };
    expect(stream(7)).toEqual(stream(7));
    const seeds = [0, 1, 2, 7, 0x8000_0000, 0xffff_ffff];
    expect(new Set(seeds.map((seed) => stream(seed).join())).size).toBe(seeds.length);
  });

  it("goes on exactly where its state was taken, whatever was drawn", () => {
    const random = new Random(3);
    for (let k = 0; k < 50; k++) {
      const copy = Random.fromState(
        JSON.parse(JSON.stringify(random.state())) as ReturnType<Random["state"]>,
      );
      const mixed = (r: Random): number[] => [
        r.uniform(),
        r.normal(),
        r.integer(10),
        r.between(-1, 1),
        r.nextUint32(),
      ];
      expect(mixed(copy)).toEqual(mixed(random));
      expect(copy.state()).toEqual(random.state());
    }
  });

  it("draws uniform numbers in [0, 1) with the moments of the uniform distribution", () => {
    const random = new Random(11);
    const n = 100_000;
    const values = draws(n, () => random.uniform());
    expect(values.every((u) => u >= 0 && u < 1)).toBe(true);
    const { mean, variance } = moments(values);
    // sd of the mean = √(1/12n); of the variance = √((1/80 − 1/144)/n).
    expect(Math.abs(mean - 1 / 2)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan(5 * Math.sqrt((1 / 80 - 1 / 144) / n));
    const between = draws(1000, () => random.between(-3, 5));
    expect(Math.min(...between)).toBeGreaterThanOrEqual(-3);
    expect(Math.min(...between)).toBeLessThan(-2.8);
    expect(Math.max(...between)).toBeLessThan(5);
    expect(Math.max(...between)).toBeGreaterThan(4.8);
  });

  it("draws normal numbers, always finite, with the first four moments of the normal distribution", () => {
    const random = new Random(12);
    const n = 100_000;
    const values = draws(n, () => random.normal());
    expect(values.every(Number.isFinite)).toBe(true);
    const power = (k: number): number => values.reduce((sum, x) => sum + x ** k, 0) / n;
    // E x^k = 0, 1, 0, 3; Var x^k = E x^2k − (E x^k)² with E x² … x⁸ = 1, 3, 15, 105.
    for (const [k, expected, variance] of [
      [1, 0, 1],
      [2, 1, 3 - 1],
      [3, 0, 15],
      [4, 3, 105 - 9],
    ] as const) {
      expect(Math.abs(power(k) - expected), `E x^${k}`).toBeLessThan(5 * Math.sqrt(variance / n));
    }
    // Successive draws are uncorrelated.
    const lagged = values.slice(1).reduce((sum, x, t) => sum + x * values[t]!, 0) / n;
    expect(Math.abs(lagged)).toBeLessThan(5 / Math.sqrt(n));
  });

  it("draws integers below n, each as often as the others (χ²)", () => {
    const random = new Random(13);
    const n = 70_000;
    const counts = new Array<number>(7).fill(0);
    for (let k = 0; k < n; k++) counts[random.integer(7)]!++;
    const chi = counts.reduce((sum, c) => sum + (c - n / 7) ** 2 / (n / 7), 0);
    // 6 degrees of freedom: 99.9 % lie below 22.46.
    expect(counts).toHaveLength(7);
    expect(chi).toBeLessThan(22.46);
    expect(draws(20, () => random.integer(1))).toEqual(new Array(20).fill(0));
  });

  it("shuffles into permutations, every one of three elements as often as the others (χ²)", () => {
    const random = new Random(14);
    for (const length of [0, 1, 2, 10, 257]) {
      const items = Uint32Array.from({ length }, (_, i) => i);
      random.shuffle(items);
      expect(Array.from(items).sort((a, b) => a - b)).toEqual(Array.from({ length }, (_, i) => i));
    }
    const n = 12_000;
    const counts = new Map<string, number>();
    for (let k = 0; k < n; k++) {
      const items = Uint32Array.of(0, 1, 2);
      random.shuffle(items);
      counts.set(items.join(), (counts.get(items.join()) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    const chi = [...counts.values()].reduce((sum, c) => sum + (c - n / 6) ** 2 / (n / 6), 0);
    // 5 degrees of freedom: 99.9 % lie below 20.52.
    expect(chi).toBeLessThan(20.52);
  });
});

describe("a derived seed", () => {
  it("is a 32-bit number that depends on the seed and on every label, their order and their grouping", () => {
    const seeds = [
      deriveSeed(1),
      deriveSeed(1, "actor"),
      deriveSeed(2, "actor"),
      deriveSeed(1, "actos"),
      deriveSeed(1, "actor", 0),
      deriveSeed(1, "actor", 1),
      deriveSeed(1, "actor", 0, 1),
      deriveSeed(1, "actor", 1, 0),
      deriveSeed(1, 0, "actor"),
      deriveSeed(1, "act", "or"),
      deriveSeed(1, "a", "ctor"),
      deriveSeed(1, ""),
      deriveSeed(1, "", ""),
      deriveSeed(1, 12),
      deriveSeed(1, 1, 2),
      deriveSeed(1, 0xffff_ffff),
    ];
    expect(new Set(seeds).size).toBe(seeds.length);
    for (const seed of seeds) expect(seed).toBe(seed >>> 0);
    expect(deriveSeed(1, "actor", 3)).toBe(deriveSeed(1, "actor", 3));
  });

  it("gives the instances of a large fleet seeds that are all but unique", () => {
    const seeds = new Set<number>();
    for (let seat = 0; seat < 64; seat++) {
      for (let i = 0; i < 64; i++)
        for (let k = 1; k <= 4; k++) seeds.add(deriveSeed(1, "environment", seat, i, k));
    }
    // 2^14 draws out of 2^32 collide 0.03 times on average.
    expect(seeds.size).toBeGreaterThanOrEqual(64 * 64 * 4 - 2);
  });

  it("starts streams that have nothing to do with one another", () => {
    const n = 20_000;
    const streams = [0, 1].map((i) => {
      const random = new Random(deriveSeed(5, "policy", i));
      return draws(n, () => random.uniform() - 0.5);
    });
    const correlation = (12 * streams[0]!.reduce((sum, x, t) => sum + x * streams[1]![t]!, 0)) / n;
    expect(Math.abs(correlation)).toBeLessThan(5 / Math.sqrt(n));
  });
});
