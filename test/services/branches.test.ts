/** Episodes that branch: what the branches begin from, what they are made of, and where they end. */
import { describe, expect, it } from "vitest";
import type { Environment, VectorEnvironment } from "../../core/env/environment.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { columnsComplaint } from "../../core/transport/columns.js";
import {
  rowCount,
  StopReason,
  type BranchPlan,
  type RolloutColumns,
  type RolloutRequest,
} from "../../core/types.js";
import type { Unplayed } from "../../services/actor/messages.js";
import { RolloutCheck } from "../../services/learner/rollout-check.js";
import { failureOf } from "../transport/helpers.js";
import {
  at,
  builtIn,
  byMember,
  cartPole,
  columnsOf,
  Endless,
  ends,
  LIMIT_SPEC,
  playerOf,
  requestOf,
} from "./member-fixture.js";

const MLP = { kind: "mlp", hidden: [4] } as const;

const plan = (changes: Partial<BranchPlan> = {}): BranchPlan => ({
  ...{ at: "random", states: 3, count: 2, maxSteps: 0 },
  ...changes,
});

interface Row {
  readonly observations: readonly number[];
  readonly actions: Int32Array;
  readonly rewards: readonly number[];
  readonly posts: readonly number[];
  readonly logprobs: Float32Array;
  readonly final: readonly number[];
  readonly memory: Float32Array;
  readonly seed: number;
  readonly at: number;
  readonly number: number;
  readonly stop: number;
  readonly terminated: number;
}

function rowsOf(c: RolloutColumns): Row[] {
  const { observationWidth: o, stateWidth: s } = c;
  return Array.from({ length: rowCount(c) }, (_, row) => {
    const [from, to] = [c.offsets[row]!, c.offsets[row + 1]!];
    return {
      observations: [...c.observations.subarray(from * o, to * o)],
      actions: (c.actions as Int32Array).slice(from, to),
      rewards: [...c.rewards.subarray(from, to)],
      posts: [...c.postObservations.subarray(from * o, to * o)],
      logprobs: c.behaviorLogprobs.slice(from, to),
      final: [...c.finalObservations.subarray(row * o, (row + 1) * o)],
      memory: c.initialStates.slice(row * s, (row + 1) * s),
      ...{ seed: c.seeds[row]!, stop: c.stopReasons[row]!, terminated: c.terminated[row]! },
      ...{ at: c.rowCounters["branchAt"]![row]!, number: c.rowCounters["branchNumber"]![row]! },
    };
  });
}

async function playOne(
  environment: VectorEnvironment,
  request: RolloutRequest,
  model: Parameters<typeof playerOf>[1] = MLP,
): Promise<RolloutColumns> {
  const { player } = await playerOf(environment, model);
  const [ended] = await ends(player, [at(0, request)], 1);
  return columnsOf(ended!);
}

/** Plays `actions` in `environment`, whose only instance has been reset or restored. */
function replay(environment: VectorEnvironment, actions: Int32Array) {
  const [observations, rewards, posts]: number[][] = [[], [], []];
  let ended = false;
  for (const action of actions) {
    expect(ended).toBe(false);
    observations!.push(...environment.observations);
    void environment.step(Int32Array.of(action), Uint8Array.of(1));
    rewards!.push(environment.rewards[0]!);
    posts!.push(...(environment.postDecisionObservations ?? []));
    ended = environment.terminated[0] === 1 || environment.truncated[0] === 1;
  }
  return { observations: observations!, rewards: rewards!, posts: posts!, ended };
}

describe("an episode with branches", () => {
  it.each(["CartPole-v1", "FrozenLake8x8-v1"])(
    "is followed by rows that another environment replays from the states they left, number for number (%s)",
    async (id) => {
      let differing = 0;
      for (let round = 0; round < 6; round++) {
        const request = requestOf({ branches: plan(), seed: 40 + round, group: round });
        const columns = await playOne(builtIn(id, 2), request);
        expect(columnsComplaint(columns)).toBeNull();
        const [main, ...branches] = rowsOf(columns) as [Row, ...Row[]];
        const states = Math.min(3, main.actions.length);
        expect(branches.length).toBe(2 * states);
        expect([main.at, main.number, main.seed]).toEqual([NaN, NaN, 40 + round]);
        const width = columns.observationWidth;
        branches.forEach((branch, k) => {
          const environment = builtIn(id, 1);
          void environment.reset(Uint32Array.of(main.seed));
          replay(environment, main.actions.subarray(0, branch.at));
          void environment.restore!(0, environment.snapshot!(0) as Uint8Array, branch.seed);
          const { observations, rewards, posts, ended } = replay(environment, branch.actions);
          expect(branch.observations).toEqual(observations);
          expect(branch.observations.slice(0, width)).toEqual(
            main.observations.slice(branch.at * width, (branch.at + 1) * width),
          );
          expect(branch.rewards).toEqual(rewards.map(Math.fround));
          expect(branch.posts).toEqual(posts);
          expect(ended).toBe(true);
          expect(branch.final).toEqual([...environment.finalObservations]);
          expect(branch.terminated).toBe(environment.terminated[0]);
          expect(branch.number).toBe(k % 2);
          // Sorted by where they left, both of a state together.
          if (k > 0) expect(branch.at).toBeGreaterThanOrEqual(branches[k - 1]!.at + (k % 2 === 0 ? 1 : 0));
        });
        for (let k = 0; k < branches.length; k += 2) {
          const same = branches[k]!.actions.join() === branches[k + 1]!.actions.join();
          expect(branches[k]!.at).toBe(branches[k + 1]!.at);
          if (!same) differing++;
          expect(branches[k]!.seed).not.toBe(branches[k + 1]!.seed);
        }
        const { episodeReturn, episodeLength } = columns.rowCounters;
        const sum = main.rewards.reduce((a, b) => a + b, 0);
        const none = branches.map(() => NaN);
        expect([...episodeReturn!]).toEqual([sum, ...none]);
        expect([...episodeLength!]).toEqual([main.actions.length, ...none]);
        expect(new Set(columns.trajectoryIds).size).toBe(rowCount(columns));
        const { spec } = builtIn(id, 1);
        const check = new RolloutCheck({ runId: "run", spec, stateWidth: 0, groupSize: 1 });
        expect(check.content({ columns } as never, 5)).toBeNull();
      }
      // Two of one state may by chance be alike where an episode is about to end, but not all of them.
      expect(differing).toBeGreaterThan(6);
    },
  );

  it("gives the same rollout for the same request, whoever is played beside it, and another for the next attempt", async () => {
    const request = requestOf({ requestId: 8000, member: 4, seed: 321, branches: plan() });
    const play = async (others: number, changes: Partial<RolloutRequest> = {}): Promise<RolloutColumns> => {
      const { player } = await playerOf(builtIn("FrozenLake8x8-v1", 4), MLP);
      const company = [0, 1, 3].slice(0, others).map((i) => {
        const branches = i === 1 ? plan({ count: 5 }) : null;
        return at(i, requestOf({ member: 10 + i, seed: 7 * i, branches }));
      });
      const ended = await ends(player, [...company, at(2, { ...request, ...changes })], others + 1);
      return columnsOf(byMember(ended, 4));
    };
    const alone = await play(0);
    expect(await play(3)).toEqual(alone);
    expect((await play(0, { attempt: 2 })).actions).not.toEqual(alone.actions);
  });

  it("plays each branch as it is played without the others", async () => {
    const request = requestOf({ requestId: 8500, seed: 33 });
    const play = async (steps: number[], count: number): Promise<Row[]> => {
      const branches = plan({ at: steps, states: steps.length, count });
      return rowsOf(await playOne(builtIn("FrozenLake8x8-v1", 1), { ...request, branches }));
    };
    const alone = await play([1], 1);
    const all = await play([0, 1, 2], 3);
    const same = all.find((row) => row.at === 1 && row.number === 0);
    expect(alone.length).toBe(2);
    expect(same).toEqual(alone[1]);
  });

  it("leaves the episode itself as it is without them", async () => {
    const request = requestOf({ requestId: 9000, seed: 5 });
    const plain = await playOne(cartPole(2), request);
    const branched = await playOne(cartPole(2), { ...request, branches: plan() });
    const steps = plain.rewards.length;
    expect(branched.actions.subarray(0, steps)).toEqual(plain.actions);
    expect(branched.observations.subarray(0, 4 * steps)).toEqual(plain.observations);
    expect(plain.rowCounters).toEqual({
      episodeReturn: Float32Array.of(steps),
      episodeLength: Float32Array.of(steps),
    });
  });

  it("remembers in each branch what the policy remembered where it left, and nothing of what came after", async () => {
    const request = requestOf({ branches: plan({ states: 4 }), seed: 12 });
    const { player, engine } = await playerOf(cartPole(3));
    const [ended] = await ends(player, [at(1, request)], 1);
    const [main, ...branches] = rowsOf(columnsOf(ended!)) as [Row, ...Row[]];
    expect(branches.length).toBe(8);
    /** The network from `memory` over the observations of a row, step by step. */
    const follow = async (memory: Float32Array, row: Row) => {
      const memories: number[][] = [];
      const logprobs: number[] = [];
      let states = memory.slice();
      for (const [t, action] of row.actions.entries()) {
        memories.push([...states]);
        const observations = Float32Array.from(row.observations.slice(4 * t, 4 * t + 4));
        const inputs = { steps: 1, observations, actions: null, states };
        const { policy, state } = await engine.forward(inputs, ["policy", "state"]);
        const [a, b] = policy as unknown as [number, number];
        logprobs.push(policy[action]! - Math.log(Math.exp(a) + Math.exp(b)));
        states = state.slice();
      }
      return { memories, logprobs };
    };
    const expectClose = (got: ArrayLike<number>, expected: readonly number[]): void => {
      expect(got.length).toBe(expected.length);
      expected.forEach((value, k) => expect(got[k]).toBeCloseTo(value, 5));
    };
    const { memories } = await follow(new Float32Array(6), main);
    expect(main.memory).toEqual(new Float32Array(6));
    expect(branches.some(({ memory }) => memory.some((x) => Math.abs(x) > 1e-3))).toBe(true);
    for (const branch of branches) {
      expectClose(branch.memory, memories[branch.at]!);
      expectClose(branch.logprobs, (await follow(branch.memory, branch)).logprobs);
    }
  });

  it("branches where it is told, and not at steps that it does not reach", async () => {
    const branches = plan({ at: [0, 4, 400], states: 3 });
    const columns = await playOne(cartPole(1), requestOf({ branches }));
    expect(rowsOf(columns).map((row) => [row.at, row.number])).toEqual([
      [NaN, NaN],
      [0, 0],
      [0, 1],
      [4, 0],
      [4, 1],
    ]);
  });
});

/** Counts its steps; leaves and returns. */
class Counter extends Endless {
  snapshot(): Uint8Array {
    return Uint8Array.of(this.steps);
  }
  restore(snapshot: Uint8Array): void {
    this.steps = snapshot[0]!;
  }
}

const COUNTER = { ...LIMIT_SPEC, snapshots: true };

describe("a branch", () => {
  it("is cut at its own limit, and at that of its episode, with what it would have seen next", async () => {
    const { player, progress } = await playerOf(
      vectorizeEnvironment(COUNTER, () => new Counter(), 2),
      MLP,
    );
    const limits = { maxSteps: 12, deadlineSeconds: 0 };
    const branches = plan({ at: [0, 10], states: 2, count: 1, maxSteps: 5 });
    const [ended] = await ends(player, [at(1, requestOf({ limits, branches }))], 1);
    const columns = columnsOf(ended!);
    expect(columnsComplaint(columns)).toBeNull();
    const rows = rowsOf(columns);
    expect(rows.map(({ observations }) => observations)).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
      [0, 1, 2, 3, 4],
      [10, 11],
    ]);
    expect(rows.map(({ final }) => final)).toEqual([[12], [5], [12]]);
    expect([...columns.truncated]).toEqual([1, 1, 1]);
    expect(rows.map(({ stop }) => stop)).toEqual([1, 1, 1].map(() => StopReason.truncated));
    expect(progress[1]).toBe(19);
  });

  it("keeps the time limit of its environment", async () => {
    const spec = { ...COUNTER, maxEpisodeSteps: 9 };
    const branches = plan({ at: [3, 8], states: 2, count: 1 });
    const columns = await playOne(
      vectorizeEnvironment(spec, () => new Counter(), 1),
      requestOf({ branches }),
    );
    expect(rowsOf(columns).map(({ observations }) => observations.length)).toEqual([9, 6, 1]);
    expect(rowsOf(columns).map(({ final }) => final)).toEqual([[9], [9], [9]]);
  });

  it("is cut at the deadline as a member is, and those after it are left out", async () => {
    const create = (): Environment => {
      const counter = new Counter();
      let restored = false;
      return {
        reset: () => counter.reset(),
        step: async () => ({ ...(await counter.step()), terminated: !restored && counter.steps === 5 }),
        snapshot: () => counter.snapshot(),
        restore: (snapshot) => {
          restored = true;
          counter.restore(snapshot);
        },
      };
    };
    const { player } = await playerOf(vectorizeEnvironment(COUNTER, create, 1), MLP);
    const branches = plan({ at: [2, 3], states: 2, count: 2 });
    const [ended] = await ends(player, [at(0, requestOf({ branches }), 1)], 1);
    const columns = columnsOf(ended!);
    expect(columnsComplaint(columns)).toBeNull();
    expect([...columns.stopReasons]).toEqual([StopReason.terminated, StopReason.deadline]);
    expect([...columns.terminated, ...columns.truncated]).toEqual([1, 0, 0, 1]);
    const [main, branch] = rowsOf(columns);
    expect(main!.observations).toEqual([0, 1, 2, 3, 4]);
    expect([branch!.at, branch!.observations[0]]).toEqual([2, 2]);
    expect(branch!.final[0]).toBe(branch!.observations.at(-1)! + 1);
  });

  it("whose environment cannot go back has its member given back, and the others play on", async () => {
    let made = 0;
    const create = (): Environment => {
      const number = made++;
      const counter = new Counter();
      return {
        reset: () => counter.reset(),
        step: () => counter.step(),
        snapshot: () => (number === 0 ? Promise.reject(new Error("no camera")) : counter.snapshot()),
        restore: (snapshot) => {
          if (number === 1) throw new Error("no way back");
          counter.restore(snapshot);
        },
      };
    };
    const { player } = await playerOf(vectorizeEnvironment(COUNTER, create, 3), MLP);
    const limits = { maxSteps: 6, deadlineSeconds: 0 };
    const branches = plan({ at: [1], states: 1, count: 2 });
    const assignments = [0, 1, 2].map((member) => at(member, requestOf({ member, limits, branches })));
    const ended = await ends(player, assignments, 3);
    for (const [member, words] of [
      [0, 'snapshot() threw "no camera"'],
      [1, 'restore() threw "no way back"'],
    ] as const) {
      const { reason, message } = byMember(ended, member).result as Unplayed;
      expect(reason).toBe("environment");
      expect(message).toContain(words);
    }
    expect(rowCount(columnsOf(byMember(ended, 2)))).toBe(3);
  });

  it("is refused for an environment without snapshots, at once", async () => {
    const { player } = await playerOf(
      vectorizeEnvironment(LIMIT_SPEC, () => new Endless(), 1),
      MLP,
    );
    const failure = await failureOf(player.play([at(0, requestOf({ branches: plan() }))]));
    expect(failure.code).toBe("ENVIRONMENT_FAILED");
    expect(failure.message).toContain("environment Endless: expected one that offers snapshots");
  });
});
