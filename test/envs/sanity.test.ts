/** What the sanity environments' descriptions say of returns and values, from their tables and from play. */
import { describe, expect, it } from "vitest";
import type { EnvironmentSpec } from "../../core/env/environment.js";
import { Random } from "../../core/random.js";
import { loadEnvironment } from "../../envs/index.js";
import type { TabularEnvironment, TabularProblem } from "../../envs/grid/tabular.js";
import { banditProblem } from "../../envs/sanity/bandits.js";
import { discountProblem } from "../../envs/sanity/discount.js";
import { maskedProblem } from "../../envs/sanity/masked.js";
import { memoryProblem } from "../../envs/sanity/memory.js";
import { truncationProblem } from "../../envs/sanity/truncation.js";

/** Values of the best policy, and its actions, by value iteration. */
function solve(problem: TabularProblem, gamma: number) {
  let values = new Array<number>(problem.states).fill(0);
  const worth = (state: number, action: number): number =>
    problem
      .transitions(state, action)
      .reduce(
        (sum, { probability, next, reward, terminated }) =>
          sum + probability * (reward + (terminated ? 0 : gamma * values[next]!)),
        0,
      );
  const all = Array.from({ length: problem.actions }, (_, a) => a);
  for (let sweep = 0; sweep < 500; sweep++) {
    values = values.map((_, state) => Math.max(...all.map((action) => worth(state, action))));
  }
  const best = values.map((value, state) => all.findIndex((action) => worth(state, action) === value));
  return { values, best };
}

async function make(
  id: string,
  params: Readonly<Record<string, unknown>> = {},
  count = 1,
): Promise<TabularEnvironment> {
  return (await loadEnvironment({ id, module: null, params }, ".")).vectorize(count) as TabularEnvironment;
}

/** Mean return of `choose` over whole episodes of 2,000 instances; it is given what an instance shows. */
async function meanReturn(
  id: string,
  choose: (shown: { readonly observation: number; readonly mask: readonly number[] | null }) => number,
): Promise<{ readonly mean: number; readonly spec: EnvironmentSpec }> {
  const count = 2000;
  const env = await make(id, {}, count);
  env.reset(Uint32Array.from({ length: count }, (_, i) => i));
  const active = new Uint8Array(count).fill(1);
  let total = 0;
  while (active.includes(1)) {
    const choices = env.actionMasks === null ? 0 : env.actionMasks.length / count;
    const actions = Int32Array.from({ length: count }, (_, i) => {
      const mask =
        env.actionMasks === null ? null : [...env.actionMasks.subarray(i * choices, (i + 1) * choices)];
      return choose({ observation: env.observations[i]!, mask });
    });
    env.step(actions, active);
    for (let i = 0; i < count; i++) {
      if (active[i] === 0) continue;
      total += env.rewards[i]!;
      if (env.terminated[i] === 1 || env.truncated[i] === 1) active[i] = 0;
    }
  }
  return { mean: total / count, spec: env.spec };
}

/** Five standard deviations of a mean of 2,000 rewards within ±1. */
const TOLERANCE = 5 / Math.sqrt(2000);

describe("Bandit-v1 and ContextBandit-v1", () => {
  it("pay 1 for one of the arms, the last or the one that is shown", async () => {
    expect(solve(banditProblem(5, [4]), 0.99)).toEqual({ values: [1, 1, 1, 1, 1], best: [0, 1, 2, 3, 4] });
    for (const [arm, paid] of [0, 0, 0, 0, 1].entries()) {
      expect((await meanReturn("Bandit-v1", () => arm)).mean).toBe(paid);
    }
    expect((await meanReturn("ContextBandit-v1", ({ observation }) => observation)).mean).toBe(1);
    const blind = await meanReturn("ContextBandit-v1", () => 3);
    expect(Math.abs(blind.mean - 0.2)).toBeLessThan(TOLERANCE);
    const hidden = await make("Bandit-v1", { arms: 9 });
    hidden.reset(Uint32Array.of(1));
    expect([hidden.spec.observationSpace, hidden.observations[0]]).toEqual([{ kind: "discrete", n: 1 }, 0]);
  });
});

describe("Discount-v1", () => {
  it.each([
    [0.95, 0.95 ** 4, 1],
    [0.7, 0.5, 0],
  ])("at γ = %d is worth %d at its start, by action %i", (gamma, value, action) => {
    const { values, best } = solve(discountProblem({ delay: 4, now: 0.5 }), gamma);
    expect(values[0]).toBeCloseTo(value, 12);
    expect(best[0]).toBe(action);
    [gamma ** 3, gamma ** 2, gamma, 1, 0, 0, 0, 0].forEach((v, k) =>
      expect(values[1 + k]).toBeCloseTo(v, 12),
    );
  });

  it("takes as long either way", async () => {
    for (const [action, paid] of [
      [0, 0.5],
      [1, 1],
    ] as const) {
      const env = await make("Discount-v1");
      env.reset(Uint32Array.of(1));
      const rewards = Array.from({ length: 5 }, () => {
        env.step(Int32Array.of(action));
        return env.rewards[0];
      });
      expect(rewards).toEqual(action === 0 ? [paid, 0, 0, 0, 0] : [0, 0, 0, 0, paid]);
      expect([env.terminated[0], env.truncated[0]]).toEqual([1, 0]);
    }
  });
});

describe("Truncation-v1", () => {
  it("is better stayed in at γ = 0.9, and better left where a cut counts as an end", () => {
    const problem = truncationProblem({ exit: 7.5 });
    const { values, best } = solve(problem, 0.9);
    expect(values[0]).toBeCloseTo(10, 8);
    expect(values[1]).toBeCloseTo(10, 8);
    expect(best[0]).toBe(0);
    // What is paid until the cut, from the start and on average over the nine steps that look alike.
    expect((1 - 0.9 ** 10) / 0.1).toBeLessThan(7.5);
    const cut = solve(problem, (0.9 * 8) / 9);
    expect(cut.values[1]).toBeCloseTo(5, 8);
    expect(cut.best[0]).toBe(1);
  });

  it("pays 10 to who stays, cut and not ended, and 7.5 to who leaves", async () => {
    expect((await meanReturn("Truncation-v1", () => 0)).mean).toBe(10);
    expect((await meanReturn("Truncation-v1", () => 1)).mean).toBe(7.5);
    const env = await make("Truncation-v1", { limit: 3 });
    env.reset(Uint32Array.of(1));
    const ends = Array.from({ length: 3 }, () => {
      env.step(Int32Array.of(0));
      return [env.terminated[0], env.truncated[0]];
    });
    expect(ends).toEqual([
      [0, 0],
      [0, 0],
      [0, 1],
    ]);
  });
});

describe("Memory-v1", () => {
  it("shows the cue once, then the corridor, then the junction, and pays for the cue's action there", async () => {
    for (const corridor of [0, 4]) {
      const { values } = solve(memoryProblem({ corridor }), 1);
      expect(new Set(values)).toEqual(new Set([1]));
      const env = await make("Memory-v1", { corridor });
      const cues = new Set<number>();
      for (let seed = 0; seed < 20; seed++) {
        env.resetInstance(0, seed);
        const cue = env.observations[0]!;
        cues.add(cue);
        for (let t = 0; t < corridor; t++) {
          env.step(Int32Array.of(t % 2));
          expect([env.observations[0], env.rewards[0]]).toEqual([2, 0]);
        }
        env.step(Int32Array.of(1));
        expect([env.observations[0], env.terminated[0]]).toEqual([3, 0]);
        const choice = seed % 2;
        env.step(Int32Array.of(choice));
        expect([env.rewards[0], env.terminated[0]]).toEqual([choice === cue ? 1 : -1, 1]);
      }
      expect(cues).toEqual(new Set([0, 1]));
    }
  });

  it("pays 0 to what does not remember", async () => {
    for (const action of [0, 1]) {
      expect(Math.abs((await meanReturn("Memory-v1", () => action)).mean)).toBeLessThan(TOLERANCE);
    }
  });
});

describe("Masked-v1", () => {
  it("allows two actions and pays for the higher one", async () => {
    const { values } = solve(maskedProblem({ actions: 5 }), 1);
    expect(values).toEqual(new Array<number>(10).fill(1));
    const random = new Random(2);
    const highest = await meanReturn("Masked-v1", ({ mask }) => {
      expect(mask!.filter((allowed) => allowed === 1)).toHaveLength(2);
      return mask!.lastIndexOf(1);
    });
    expect(highest.mean).toBe(1);
    expect((await meanReturn("Masked-v1", ({ mask }) => mask!.indexOf(1))).mean).toBe(0);
    expect((await meanReturn("Masked-v1", ({ mask }) => mask!.indexOf(0))).mean).toBe(-1);
    expect(Math.abs((await meanReturn("Masked-v1", () => 4)).mean - -0.2)).toBeLessThan(TOLERANCE);
    const anything = await meanReturn("Masked-v1", () => random.integer(5));
    // 1/5 for the higher, 3/5 forbidden.
    expect(Math.abs(anything.mean - -0.4)).toBeLessThan(TOLERANCE);
  });
});
