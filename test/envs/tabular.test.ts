import { describe, expect, it } from "vitest";
import { findEnvironment } from "../../envs/index.js";
import { cliffWalkingProblem } from "../../envs/grid/cliff-walking.js";
import { frozenLakeProblem } from "../../envs/grid/frozen-lake.js";
import type { TabularEnvironment } from "../../envs/grid/tabular.js";
import { type TabularProblem } from "../../envs/grid/tabular.js";
import { taxiProblem } from "../../envs/grid/taxi.js";
import { goldens, type GoldenTable } from "./goldens.js";

const problems: Readonly<Record<string, TabularProblem>> = {
  "FrozenLake-v1": frozenLakeProblem("4x4", true),
  "FrozenLake8x8-v1": frozenLakeProblem("8x8", true),
  "Taxi-v4": taxiProblem,
  "CliffWalking-v1": cliffWalkingProblem(false),
  "CliffWalkingSlippery-v1": cliffWalkingProblem(true),
};
const ids = Object.keys(problems);
const cases = ids.flatMap((id) =>
  goldens<GoldenTable>("tables", id).map(([source, table]) => ({ id, source, table })),
);

describe.each(cases)("$id against Gymnasium, $source", ({ id, table }) => {
  const problem = problems[id]!;

  it("has the recorded transitions in every recorded state, in the same order", () => {
    for (const [state, actions] of Object.entries(table.P)) {
      expect(Object.keys(actions)).toHaveLength(problem.actions);
      for (const [action, outcomes] of Object.entries(actions)) {
        const ours = problem.transitions(Number(state), Number(action));
        expect(
          ours.map((t) => [t.probability, t.next, t.reward, t.terminated]),
          `state ${state}, action ${action}`,
        ).toEqual(outcomes);
      }
    }
  });

  it("starts in each state with the recorded probability", () => {
    for (const [state, probability] of Object.entries(table.isd)) {
      const ours = problem.starts.filter((start) => start === Number(state)).length / problem.starts.length;
      expect(ours, `state ${state}`).toBeCloseTo(probability, 15);
    }
    expect(new Set(problem.starts).size).toBe(problem.starts.length);
  });
});

describe.each(ids)("%s as it runs", (id) => {
  const problem = problems[id]!;
  const definition = findEnvironment(id);
  const vectorize = (count: number): TabularEnvironment => {
    const params = definition.params.parse({});
    return definition.vectorize(definition.spec(params), params, count) as TabularEnvironment;
  };

  it("moves from every state as often as its table says, with that reward and end", () => {
    const draws = 400;
    for (let state = 0; state < problem.states; state += 7) {
      for (let action = 0; action < problem.actions; action++) {
        const env = vectorize(draws);
        env.reset(Uint32Array.from({ length: draws }, (_, i) => i * 7919 + state));
        env.state[0]!.fill(state);
        for (let i = 0; i < draws; i++) env.advance(i, new Int32Array(draws).fill(action));
        const expected = new Map<string, number>();
        for (const t of problem.transitions(state, action)) {
          const key = `${t.next} ${t.reward} ${t.terminated ? 1 : 0}`;
          expected.set(key, (expected.get(key) ?? 0) + t.probability);
        }
        const seen = new Map<string, number>();
        for (let i = 0; i < draws; i++) {
          const key = `${env.state[0]![i]} ${env.rewards[i]} ${env.terminated[i]}`;
          seen.set(key, (seen.get(key) ?? 0) + 1);
        }
        expect([...seen.keys()].sort()).toEqual([...expected.keys()].sort());
        for (const [key, p] of expected) {
          const deviation = Math.sqrt(draws * p * Math.max(0, 1 - p));
          expect(Math.abs(seen.get(key)! - draws * p)).toBeLessThanOrEqual(5 * deviation + 1e-9);
        }
      }
    }
  });

  it("starts only in its start states and reaches all of them", () => {
    const count = 4000;
    const env = vectorize(count);
    env.reset(Uint32Array.from({ length: count }, (_, i) => i));
    expect(new Set(env.state[0])).toEqual(new Set(problem.starts));
    expect(Array.from(env.observations)).toEqual(Array.from(env.state[0]!));
  });
});

describe("FrozenLake without slippery ice", () => {
  it("goes exactly where it is told: six moves to the goal of the 4×4 lake", () => {
    const definition = findEnvironment("FrozenLake-v1");
    const params = definition.params.parse({ slippery: false });
    const env = definition.vectorize(definition.spec(params), params, 1);
    void env.reset(Uint32Array.of(1));
    const [down, right] = [1, 2];
    const path = [down, down, right, right, down, right].map((action) => {
      void env.step(Int32Array.of(action));
      return env.terminated[0] === 1 ? env.finalObservations[0]! : env.observations[0]!;
    });
    expect(path).toEqual([4, 8, 9, 10, 14, 15]);
    expect([env.rewards[0], env.terminated[0], env.truncated[0]]).toEqual([1, 1, 0]);
  });
});
