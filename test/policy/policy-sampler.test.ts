import { describe, expect, it } from "vitest";
import { box, discrete, multiDiscrete } from "../../core/env/spaces.js";
import { createPolicySampler } from "../../core/policy/policy-sampler.js";
import { Random } from "../../core/random.js";

/** softmax, the naive way. */
function softmax(logits: readonly number[]): number[] {
  const weights = logits.map(Math.exp);
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

describe("a categorical policy sampler", () => {
  it("draws each action as often as its softmax says, for each instance by itself (χ²)", () => {
    const logits = [
      [0, 1, -1, 2],
      [3, 3, 3, 3],
      [-2, 0.5, 0.5, -4],
    ];
    const sampler = createPolicySampler(discrete(4), 3);
    const policy = Float32Array.from(logits.flat());
    const random = new Random(21);
    const n = 20_000;
    const counts = logits.map(() => [0, 0, 0, 0]);
    for (let k = 0; k < n; k++) {
      sampler.sample(policy, random);
      sampler.actions.forEach((action, i) => counts[i]![action]!++);
    }
    logits.forEach((row, i) => {
      const expected = softmax(row).map((p) => p * n);
      const chi = expected.reduce((sum, e, a) => sum + (counts[i]![a]! - e) ** 2 / e, 0);
      // 3 degrees of freedom: 99.9 % lie below 16.27.
      expect(chi, `instance ${i}: ${counts[i]!.join()}`).toBeLessThan(16.27);
    });
  });

  it("says the log-probability of what it drew, nats", () => {
    const random = new Random(22);
    const count = 5;
    const sampler = createPolicySampler(discrete(3), count);
    for (let draw = 0; draw < 50; draw++) {
      const policy = Float32Array.from({ length: 3 * count }, () => 3 * random.normal());
      sampler.sample(policy, random);
      for (let i = 0; i < count; i++) {
        const p = softmax(Array.from(policy.subarray(3 * i, 3 * i + 3)))[sampler.actions[i]!]!;
        expect(sampler.logprobs[i]).toBeCloseTo(Math.log(p), 5);
      }
    }
  });

  it("never draws a forbidden action and is certain of the only one", () => {
    const sampler = createPolicySampler(discrete(3), 1);
    const random = new Random(23);
    for (let k = 0; k < 500; k++) {
      sampler.sample(Float32Array.of(0, -Infinity, 0), random);
      expect(sampler.actions[0]).not.toBe(1);
      expect(sampler.logprobs[0]).toBeCloseTo(Math.log(0.5), 6);
      sampler.sample(Float32Array.of(-Infinity, 5, -Infinity), random);
      expect(sampler.actions[0]).toBe(1);
      expect(sampler.logprobs[0]).toBe(0);
    }
  });

  it("refuses logits that are no numbers instead of acting on them", () => {
    const sampler = createPolicySampler(discrete(2), 1);
    expect(() => sampler.sample(Float32Array.of(NaN, 0), new Random(1))).toThrow(/expected finite logits/);
  });

  it("takes the most probable action when greedy, the lowest of equals", () => {
    const sampler = createPolicySampler(discrete(3), 3);
    sampler.greedy(Float32Array.of(0, 2, 1, -5, -5, -5, -3, -2, -1));
    expect(Array.from(sampler.actions)).toEqual([1, 0, 2]);
    expect(sampler.actions).toBeInstanceOf(Int32Array);
  });

  it("draws the same actions from the same stream", () => {
    const run = (): number[] => {
      const sampler = createPolicySampler(discrete(5), 4);
      const random = new Random(24);
      return Array.from({ length: 20 }, () => {
        sampler.sample(new Float32Array(20), random);
        return Array.from(sampler.actions);
      }).flat();
    };
    expect(run()).toEqual(run());
    expect(new Set(run()).size).toBe(5);
  });
});

describe("a Gaussian policy sampler", () => {
  /** Instance by instance: means ‖ log standard deviations. */
  const policy = Float32Array.of(1, -2, Math.log(0.5), Math.log(2), 0, 10, 0, Math.log(0.1));

  it("draws with the mean and deviation of each dimension of each instance, dimensions unrelated", () => {
    const sampler = createPolicySampler(box([2], -1, 1), 2);
    const random = new Random(25);
    const n = 20_000;
    const draws = Array.from({ length: n }, () => {
      sampler.sample(policy, random);
      return Array.from(sampler.actions);
    });
    const wanted = [
      [1, 0.5],
      [-2, 2],
      [0, 1],
      [10, 0.1],
    ] as const;
    const standard = wanted.map(([mean, std], k) => draws.map((draw) => (draw[k]! - mean) / std));
    const average = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0) / n;
    for (const z of standard) {
      // sd of the mean 1/√n, of the second moment √(2/n)
      expect(Math.abs(average(z))).toBeLessThan(5 / Math.sqrt(n));
      expect(Math.abs(average(z.map((x) => x * x)) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    }
    for (const [a, b] of [
      [0, 1],
      [0, 2],
      [1, 3],
    ] as const) {
      expect(Math.abs(average(standard[a]!.map((x, t) => x * standard[b]![t]!)))).toBeLessThan(
        5 / Math.sqrt(n),
      );
    }
  });

  it("says the log-density of the action as it is stored, nats", () => {
    const sampler = createPolicySampler(box([2], -1, 1), 2);
    const random = new Random(26);
    for (let draw = 0; draw < 100; draw++) {
      sampler.sample(policy, random);
      for (let i = 0; i < 2; i++) {
        let expected = 0;
        for (let k = 0; k < 2; k++) {
          const mean = policy[4 * i + k]!;
          const std = Math.exp(policy[4 * i + 2 + k]!);
          const z = (sampler.actions[2 * i + k]! - mean) / std;
          expected += Math.log(Math.exp((-z * z) / 2) / (std * Math.sqrt(2 * Math.PI)));
        }
        expect(sampler.logprobs[i]).toBeCloseTo(expected, 4);
      }
    }
  });

  it("takes the means when greedy", () => {
    const sampler = createPolicySampler(box([2], -1, 1), 2);
    sampler.greedy(policy);
    expect(Array.from(sampler.actions)).toEqual([1, -2, 0, 10]);
    expect(sampler.actions).toBeInstanceOf(Float32Array);
  });
});

describe("a mixture policy sampler", () => {
  // One instance, gates of 1/4 and 3/4, means (−100, 5) and (100, 5), log standard deviations 0 and −1.
  const policy = Float32Array.of(0, Math.log(3), -100, 5, 100, 5, 0, 0, -1, -1);

  it("draws from each component as often as its gate says, with the component's spread", () => {
    const sampler = createPolicySampler(box([2], -1, 1), 1, "mixture");
    const random = new Random(31);
    const draws = Array.from({ length: 4000 }, () => {
      sampler.sample(policy, random);
      return sampler.actions[0]!;
    });
    const second = draws.filter((x) => x > 0);
    expect(Math.abs(second.length / draws.length - 0.75)).toBeLessThan(5 * Math.sqrt(0.75 * (0.25 / 4000)));
    const spread = Math.sqrt(second.reduce((sum, x) => sum + (x - 100) ** 2, 0) / second.length);
    expect(Math.abs(spread - Math.exp(-1))).toBeLessThan(0.02);
  });

  it("takes the mean of the likeliest component when greedy", () => {
    const sampler = createPolicySampler(box([2], -1, 1), 1, "mixture");
    sampler.greedy(policy);
    expect([...sampler.actions]).toEqual([100, 5]);
  });
});

describe("a multi-discrete policy sampler", () => {
  const sizes = [3, 1, 2];
  /** Instance by instance, part by part. */
  const logits = [
    [[0, 1, -1], [7], [2, 0]],
    [[-3, 0.5, 0.5], [-7], [-1, 1]],
  ];
  const policy = Float32Array.from(logits.flat(2));

  it("draws each part by its own softmax, parts unrelated (χ²)", () => {
    const sampler = createPolicySampler(multiDiscrete(sizes), 2);
    const random = new Random(27);
    const n = 20_000;
    const counts = logits.map(() => new Array<number>(6).fill(0));
    for (let k = 0; k < n; k++) {
      sampler.sample(policy, random);
      for (const i of [0, 1]) {
        const [a, b, c] = sampler.actions.subarray(3 * i, 3 * i + 3);
        if (b !== 0) throw new Error(`a part with one action drew ${b}`);
        counts[i]![2 * a! + c!]!++;
      }
    }
    logits.forEach(([first, , last], i) => {
      const [p, q] = [softmax(first!), softmax(last!)];
      const expected = p.flatMap((x) => q.map((y) => n * x * y));
      const chi = expected.reduce((sum, e, cell) => sum + (counts[i]![cell]! - e) ** 2 / e, 0);
      // 5 degrees of freedom: 99.9 % lie below 20.52.
      expect(chi, `instance ${i}: ${counts[i]!.join()}`).toBeLessThan(20.52);
    });
  });

  it("says the log-probability of all parts together, nats", () => {
    const sampler = createPolicySampler(multiDiscrete(sizes), 2);
    const random = new Random(28);
    for (let draw = 0; draw < 50; draw++) {
      sampler.sample(policy, random);
      for (const i of [0, 1]) {
        const p = logits[i]!.reduce((all, part, k) => all * softmax(part)[sampler.actions[3 * i + k]!]!, 1);
        expect(sampler.logprobs[i]).toBeCloseTo(Math.log(p), 5);
      }
    }
  });

  it("takes the most probable of each part when greedy, and gives the environment what it records", () => {
    const sampler = createPolicySampler(multiDiscrete(sizes), 2);
    sampler.greedy(policy);
    expect(Array.from(sampler.actions)).toEqual([1, 0, 0, 1, 0, 1]);
    expect(sampler.environmentActions).toBe(sampler.actions);
  });
});

describe("a tanh-squashed Gaussian policy sampler", () => {
  const space = box([2], [-2, 0], [2, 0.5]);
  const policy = Float32Array.of(1, -2, Math.log(0.5), Math.log(2), 0, 10, 0, Math.log(0.1));

  it("records the unsquashed draw and gives the environment its place between the bounds", () => {
    const sampler = createPolicySampler(space, 2, "tanhGaussian");
    const plain = createPolicySampler(space, 2);
    sampler.sample(policy, new Random(29));
    plain.sample(policy, new Random(29));
    expect(sampler.actions).toEqual(plain.actions);
    expect(plain.environmentActions).toBe(plain.actions);
    sampler.actions.forEach((u, j) => {
      const [low, high] = [space.low[j % 2]!, space.high[j % 2]!];
      // (tanh u + 1)/2 is the logistic function of 2u.
      expect(sampler.environmentActions[j]).toBeCloseTo(low + (high - low) / (1 + Math.exp(-2 * u)), 5);
      expect(sampler.environmentActions[j]).toBeGreaterThanOrEqual(low);
      expect(sampler.environmentActions[j]).toBeLessThanOrEqual(high);
    });
  });

  it("says the log-density of what the environment gets, by the slope of the squashing, nats", () => {
    const sampler = createPolicySampler(space, 2, "tanhGaussian");
    const plain = createPolicySampler(space, 2);
    const h = 1e-5;
    for (let draw = 0; draw < 20; draw++) {
      sampler.sample(policy, new Random(draw));
      plain.sample(policy, new Random(draw));
      // The second dimension of instance 1 lies so far out that its slope is below what differences can see.
      let expected = plain.logprobs[0]!;
      for (const k of [0, 1]) {
        const place = (u: number): number =>
          space.low[k]! + (space.high[k]! - space.low[k]!) / (1 + Math.exp(-2 * u));
        const u = sampler.actions[k]!;
        expected -= Math.log((place(u + h) - place(u - h)) / (2 * h));
      }
      expect(sampler.logprobs[0]).toBeCloseTo(expected, 3);
      expect(Number.isFinite(sampler.logprobs[1])).toBe(true);
    }
  });

  it("takes the means when greedy, and squashes them for the environment", () => {
    const sampler = createPolicySampler(space, 2, "tanhGaussian");
    sampler.greedy(policy);
    expect(Array.from(sampler.actions)).toEqual([1, -2, 0, 10]);
    const expected = [-2 + 4 / (1 + Math.exp(-2)), 0.5 / (1 + Math.exp(4)), 0, 0.5 / (1 + Math.exp(-20))];
    sampler.environmentActions.forEach((a, j) => expect(a).toBeCloseTo(expected[j]!, 6));
  });
});

describe("a policy sampler for one instance of many", () => {
  const random = new Random(30);
  it.each([
    ["categorical", discrete(4), 4, "gaussian"],
    ["multi-discrete", multiDiscrete([3, 2]), 5, "gaussian"],
    ["Gaussian", box([2], -1, 1), 4, "gaussian"],
    ["tanh-squashed Gaussian", box([2], [-2, 0], [2, 0.5]), 4, "tanhGaussian"],
  ] as const)(
    "draws what that instance alone would draw, and touches no other (%s)",
    (_, space, width, kind) => {
      const count = 3;
      const policy = Float32Array.from({ length: width * count }, () => random.normal());
      const sampler = createPolicySampler(space, count, kind);
      sampler.sample(policy, new Random(1));
      const alone = createPolicySampler(space, 1, kind);
      alone.sample(policy.slice(width, 2 * width), new Random(2));
      const a = alone.actions.length;
      const fields = ["actions", "environmentActions", "logprobs"] as const;
      const expected = fields.map((field) => {
        const numbers = [...sampler[field]];
        const w = field === "logprobs" ? 1 : a;
        numbers.splice(w, w, ...alone[field]);
        return numbers;
      });
      sampler.sampleInstance(policy, 1, new Random(2));
      expect(fields.map((field) => [...sampler[field]])).toEqual(expected);
    },
  );
});
