/** GiGPO: the numbers worked out by hand, the choices that paper and code differ in, and whom a step is compared with. */
import { describe, expect, it } from "vitest";
import { similarity } from "../../core/algo/text-similarity.js";
import { Random } from "../../core/random.js";
import type { Batch } from "../../core/slots/batch.js";
import { deriveColumns } from "../../core/slots/evaluate.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { selectRows } from "../../core/slots/select.js";
import { fixtureBatch } from "./catalogue-fixture.js";
import { contextOf } from "./fixture.js";

interface Episode {
  readonly states: readonly number[];
  readonly rewards: readonly number[];
  /** Steps whose action was invalid. */
  readonly invalid?: readonly number[];
  readonly group?: number;
}

function batchOf(episodes: readonly Episode[]): Batch {
  const offsets = [0];
  for (const { states } of episodes) offsets.push(offsets.at(-1)! + states.length);
  const scores = episodes.map(({ rewards }) => rewards.reduce((a, b) => a + b, 0));
  const base = fixtureBatch(
    scores,
    offsets,
    episodes.map(({ group = 1 }) => group),
  );
  const flat = <T>(of: (episode: Episode) => readonly T[]): T[] =>
    episodes.flatMap((episode) => [...of(episode)]);
  return {
    ...base,
    inputs: { ...base.inputs, observations: Float32Array.from(flat(({ states }) => states)) },
    step: {
      ...base.step,
      rewards: Float64Array.from(flat(({ rewards }) => rewards)),
      actionValid: Float64Array.from(
        flat(({ states, invalid = [] }) => states.map((_, t) => (invalid.includes(t) ? 0 : 1))),
      ),
    },
  };
}

function advantagesOf(batch: Batch, params: Readonly<Record<string, unknown>> = {}): number[] {
  const recipe = resolveRecipe({ id: "gigpo", params });
  return Array.from(deriveColumns(recipe, "seal", batch, contextOf()).step["advantages"]!);
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((x, t) => expect(actual[t], `step ${t}`).toBeCloseTo(x, 5));
}

/** s0 s1 s2 with a reward at the end, and s0 s1 s0 without any, its second action invalid. */
const TWO: readonly Episode[] = [
  { states: [0, 1, 2], rewards: [0, 0, 1] },
  { states: [0, 1, 0], rewards: [0, 0, 0], invalid: [1] },
];

describe("gigpo", () => {
  it("has the advantages worked out by hand, centred and standardised", () => {
    expectClose(advantagesOf(batchOf(TWO)), [1.101667, 1.025, 0.5, -0.800833, -1.125, -0.800833]);
    expectClose(
      advantagesOf(batchOf(TWO), { normalization: "meanStd" }),
      [1.861804, 1.414212, 0.707106, -1.284455, -1.555633, -1.284455],
    );
  });

  it("takes the mean of the scores over trajectories, or over steps, of which long rows have more", () => {
    const episodes = [
      { states: [0, 1, 2], rewards: [0, 0, 10] },
      { states: [0, 1], rewards: [0, 0] },
    ];
    const ofStates = [4.5125, 4.75, 0, -4.5125, -4.75];
    const of = (episodeStatistics: string): number[] =>
      advantagesOf(batchOf(episodes), { episodeStatistics });
    expectClose(
      of("steps"),
      [4, 4, 4, -6, -6].map((a, t) => a + ofStates[t]!),
    );
    expectClose(
      of("trajectories"),
      [5, 5, 5, -5, -5].map((a, t) => a + ofStates[t]!),
    );
  });

  it("gives a group of equal returns exactly nothing, whatever rounding would make of it", () => {
    const third = 1 / 3;
    const states = [7, 7, 7];
    const episodes = [0, 1, 2].map(() => ({ states, rewards: [third, third, third] }));
    for (const normalization of ["mean", "meanStd"]) {
      const found = advantagesOf(batchOf(episodes), { normalization, gamma: 0, stepWeight: 3 });
      expect(found.every((a) => a === 0)).toBe(true);
    }
  });

  it("compares states only within their group, and a state met once with nothing", () => {
    const episodes = [
      { states: [0, 1], rewards: [0, 4], group: 1 },
      { states: [2, 1], rewards: [0, 0], group: 1 },
      { states: [0, 1], rewards: [0, 9], group: 2 },
      { states: [0, 3], rewards: [0, 1], group: 2 },
    ];
    const gamma = 0.5;
    const found = advantagesOf(batchOf(episodes), { gamma });
    // Group 1: state 1 with returns 4 and 0; group 2: state 0 with returns 4.5 and 0.5.
    expectClose(found, [2, 4, -2, -4, 4 + 2, 4, -4 - 2, -4]);
  });

  it("depends neither on the order of rows nor on what groups are called", () => {
    const random = new Random(3);
    const episodes = Array.from({ length: 8 }, (_, i) => {
      const length = 1 + random.integer(5);
      return {
        states: Array.from({ length }, () => random.integer(3)),
        rewards: Array.from({ length }, () => random.normal()),
        group: i % 2,
      };
    });
    const batch = batchOf(episodes);
    const [a, b] = [
      advantagesOf(batch),
      advantagesOf(batchOf(episodes.map((e) => ({ ...e, group: 9 - e.group })))),
    ];
    expectClose(b, a);
    const order = Uint32Array.from([5, 2, 7, 0, 1, 6, 4, 3]);
    const moved = advantagesOf(selectRows(batch, order));
    const expected = [...order].flatMap((row) => a.slice(batch.offsets[row], batch.offsets[row + 1]));
    expectClose(moved, expected);
  });

  it("takes states that the environment names alike for one, and with a similarity those named nearly alike", () => {
    const episodes = [
      { states: [0, 1], rewards: [0, 1] },
      { states: [5, 6], rewards: [0, 0] },
    ];
    const named: Batch = {
      ...batchOf(episodes),
      anchorTexts: ["the red door", "a box", "the red doors"],
      step: { ...batchOf(episodes).step, anchor: Float64Array.from([0, 1, 2, 1]) },
    };
    const params = { gamma: 1 };
    expectClose(advantagesOf(named, params), [0.5, 1, -0.5, -1]);
    expectClose(advantagesOf(named, { ...params, similarity: 0.9 }), [1, 1, -1, -1]);
    expect(() => advantagesOf(batchOf(episodes), { similarity: 0.9 })).toThrow("set similarity: null");
  });

  it("keeps groups of equal scores out where it is dynamic", () => {
    const { sampler } = resolveRecipe({ id: "gigpo", params: { dynamic: true } });
    expect(sampler.filter!.keep(Float64Array.of(1, 1))).toBe(false);
    expect(sampler.filter!.keep(Float64Array.of(1, 0))).toBe(true);
    expect(resolveRecipe({ id: "gigpo", params: {} }).sampler.filter).toBeUndefined();
  });
});

describe("the similarity of two texts", () => {
  // Python 3: difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()
  it.each([
    ["", "", 1],
    ["abc", "", 0],
    ["abcd", "bcde", 0.75],
    ["the red door", "the red doors", 0.96],
    ["qabxcd", "abycdf", 0.6666666666666666],
    ["private Thread currentThread;", "private volatile Thread currentThread;", 0.8656716417910447],
    ["tide", "diet", 0.25],
    ["diet", "tide", 0.5],
  ])("of %j and %j is %d", (a, b, expected) => {
    expect(similarity(a, b)).toBeCloseTo(expected, 12);
  });
});
