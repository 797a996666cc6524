/** Episodes of groups' members: the real player, environments and engine, without the thread around them. */
import { describe, expect, it } from "vitest";
import { splitAnchorTexts } from "../../core/anchor-texts.js";
import type { Environment } from "../../core/env/environment.js";
import { discrete } from "../../core/env/spaces.js";
import { vectorizeEnvironment } from "../../core/env/vectorize.js";
import { initialWeights } from "../../core/model/init.js";
import { createPolicySampler } from "../../core/policy/policy-sampler.js";
import { deriveSeed, Random } from "../../core/random.js";
import { columnsComplaint } from "../../core/transport/columns.js";
import { StopReason } from "../../core/types.js";
import { findEnvironment } from "../../envs/index.js";
import type { Collected, Unplayed } from "../../services/actor/messages.js";
import {
  at,
  byMember,
  cartPole,
  columnsOf,
  Endless,
  ends,
  LIMIT_SPEC,
  playerOf,
  requestOf,
  RUN_SEED,
} from "./member-fixture.js";

describe("a member of a group", () => {
  it("plays the episode that a loop over one environment plays, from the request's seed and its own draws", async () => {
    const request = requestOf({ group: 7, member: 2, attempt: 3, seed: 1234 });
    const { player, engine } = await playerOf(cartPole(4));
    const others = [0, 2, 3].map((i) => at(i, requestOf({ member: 10 + i, seed: i })));
    const ended = await ends(player, [...others, at(1, request)], 4);
    const columns = columnsOf(byMember(ended, 2));
    expect(columnsComplaint(columns)).toBeNull();

    const environment = cartPole(1);
    void environment.reset(Uint32Array.of(1234));
    const random = new Random(deriveSeed(RUN_SEED, "member", 7, 2, 3));
    const sampler = createPolicySampler(discrete(2), 1);
    let states = new Float32Array(6);
    const [observations, actions, logprobs]: number[][] = [[], [], []];
    do {
      observations!.push(...environment.observations);
      const inputs = { steps: 1, observations: environment.observations, actions: null, states };
      const forward = await engine.forward(inputs, ["policy", "state"]);
      states = forward.state.slice();
      sampler.sample(forward.policy, random);
      actions!.push(sampler.actions[0]!);
      logprobs!.push(sampler.logprobs[0]!);
      void environment.step(sampler.environmentActions);
    } while (environment.terminated[0] === 0 && environment.truncated[0] === 0);

    expect([...columns.actions]).toEqual(actions);
    expect([...columns.observations]).toEqual(observations);
    logprobs!.forEach((logprob, t) => expect(columns.behaviorLogprobs[t]).toBeCloseTo(logprob, 5));
    expect(columns.finalObservations).toEqual(environment.finalObservations);
    const length = actions!.length;
    expect([...columns.offsets]).toEqual([0, length]);
    expect([...columns.rewards]).toEqual(new Array<number>(length).fill(1));
    expect([...columns.mask]).toEqual(new Array<number>(length).fill(1));
    expect([columns.versionRunLengths, columns.versionRunValues]).toEqual([
      Uint32Array.of(length),
      Uint32Array.of(5),
    ]);
    expect(columns.initialStates).toEqual(new Float32Array(6));
    expect([...columns.terminated, ...columns.truncated, ...columns.stopReasons]).toEqual([
      ...[1, 0, StopReason.terminated],
    ]);
    expect([...columns.seeds, ...columns.trajectoryIds]).toEqual([1234, request.requestId]);
    expect(columns.rowCounters).toEqual({
      episodeReturn: Float32Array.of(length),
      episodeLength: Float32Array.of(length),
    });
  });

  it("is the same, bit for bit, whoever is played beside it and whatever was played before", async () => {
    const play = async (others: number, before: number): Promise<Collected["columns"]> => {
      const { player } = await playerOf(cartPole(4));
      for (let k = 0; k < before; k++) await ends(player, [at(2, requestOf({ member: 50 + k, seed: k }))], 1);
      const company = [0, 1, 3]
        .slice(0, others)
        .map((i) => at(i, requestOf({ member: 10 + i, seed: 7 * i })));
      const request = requestOf({ requestId: 5000, member: 4, seed: 321 });
      const ended = await ends(player, [...company, at(2, request)], others + 1);
      return columnsOf(byMember(ended, 4));
    };
    const alone = await play(0, 0);
    expect(await play(3, 0)).toEqual(alone);
    expect(await play(2, 3)).toEqual(alone);
  });

  it("shares its first state with the others of its group and with its own next attempt, and not their draws", async () => {
    const { player } = await playerOf(cartPole(4));
    const requests = [
      requestOf({ member: 0 }),
      requestOf({ member: 1 }),
      requestOf({ member: 1, attempt: 2 }),
      requestOf({ member: 0, group: 2 }),
    ];
    const ended = await ends(
      player,
      requests.map((request, i) => at(i, request)),
      4,
    );
    const all = ended.map(columnsOf);
    const first = all.map(({ observations }) => [...observations.subarray(0, 4)]);
    expect(new Set(first.map((numbers) => numbers.join())).size).toBe(1);
    expect(new Set(all.map(({ actions }) => actions.join())).size).toBe(4);
  });

  it("is cut at its step limit, delivered as truncated with what it would have seen next", async () => {
    const { player } = await playerOf(vectorizeEnvironment(LIMIT_SPEC, () => new Endless(), 2));
    const limits = { maxSteps: 7, deadlineSeconds: 0 };
    const [ended] = await ends(player, [at(1, requestOf({ limits }))], 1);
    const columns = columnsOf(ended!);
    expect(columnsComplaint(columns)).toBeNull();
    expect([...columns.observations]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...columns.finalObservations]).toEqual([7]);
    expect([...columns.terminated, ...columns.truncated]).toEqual([0, 1]);
    expect([...columns.stopReasons]).toEqual([StopReason.truncated]);
    expect(columns.rowCounters["episodeReturn"]).toEqual(Float32Array.of(3.5));
    expect(columns.rowCounters["episodeLength"]).toEqual(Float32Array.of(7));
  });

  it("says which state each of its steps was taken in, where its environment names them", async () => {
    const create = (): Environment => {
      const endless = new Endless();
      return {
        reset: () => endless.reset(),
        step: () => endless.step(),
        anchorKey: () => `mod ${endless.steps % 3}`,
      };
    };
    const spec = { ...LIMIT_SPEC, anchorKeys: true };
    const { player } = await playerOf(vectorizeEnvironment(spec, create, 2));
    const limits = { maxSteps: 7, deadlineSeconds: 0 };
    const [ended] = await ends(player, [at(1, requestOf({ limits }))], 1);
    const columns = columnsOf(ended!);
    expect(columnsComplaint(columns)).toBeNull();
    expect([...columns.anchorIndices]).toEqual([0, 1, 2, 0, 1, 2, 0]);
    expect(splitAnchorTexts(columns.anchorTexts)).toEqual(["mod 0", "mod 1", "mod 2"]);
  });

  it("is cut at its deadline, and delivered: to be late is an outcome", async () => {
    const { player, progress } = await playerOf(vectorizeEnvironment(LIMIT_SPEC, () => new Endless(), 2));
    const [ended] = await ends(player, [at(1, requestOf(), 0.2)], 1);
    const columns = columnsOf(ended!);
    expect(columnsComplaint(columns)).toBeNull();
    const steps = columns.rewards.length;
    expect(steps).toBeGreaterThan(0);
    expect([...columns.finalObservations]).toEqual([steps]);
    expect([...columns.terminated, ...columns.truncated]).toEqual([0, 1]);
    expect([...columns.stopReasons]).toEqual([StopReason.deadline]);
    expect(progress[1]).toBe(steps);
  });

  it("is given back where its time is up before its first step", async () => {
    const { player } = await playerOf(vectorizeEnvironment(LIMIT_SPEC, () => new Endless(), 2));
    const request = requestOf({ limits: { maxSteps: 0, deadlineSeconds: 3 } });
    const [ended] = await ends(player, [at(0, request, 0)], 1);
    expect(ended).toEqual({
      instance: 0,
      result: { request, reason: "deadline", message: "no step within 3 s of the grant" },
    });
  });

  it("is given back where its environment fails, in a step or at the start, and the others play on", async () => {
    let made = 0;
    const create = (): Environment => {
      const endless = new Endless();
      const number = made++;
      return {
        reset: () => {
          if (number === 2) throw new Error("no way in");
          return endless.reset();
        },
        step: () => {
          if (number === 1 && endless.steps === 4) return Promise.reject(new Error("fell over"));
          return endless.step();
        },
      };
    };
    const { player } = await playerOf(vectorizeEnvironment(LIMIT_SPEC, create, 4));
    const limits = { maxSteps: 9, deadlineSeconds: 0 };
    const requests = [0, 1, 2, 3].map((member) => requestOf({ member, limits }));
    const ended = await ends(
      player,
      requests.map((request, i) => at(i, request)),
      4,
    );
    for (const [member, words] of [
      [1, 'step() threw "fell over"'],
      [2, 'reset() threw "no way in"'],
    ] as const) {
      const { reason, message } = byMember(ended, member).result as Unplayed;
      expect(reason).toBe("environment");
      expect(message).toContain(words);
    }
    for (const member of [0, 3]) expect(columnsOf(byMember(ended, member)).rewards.length).toBe(9);
    // The instance that failed plays the next member.
    const [again] = await ends(player, [at(1, requestOf({ limits: { ...limits, maxSteps: 3 } }))], 1);
    expect(columnsOf(again!).rewards.length).toBe(3);
  });

  it("is given back where a reward is not finite", async () => {
    const definition = findEnvironment("Pendulum-v1");
    const params = definition.params.parse({});
    const environment = definition.vectorize(definition.spec(params), params, 1);
    const { player } = await playerOf(environment, { kind: "mlp", hidden: [4] });
    const step = environment.step.bind(environment);
    environment.step = (actions, active) => {
      void step(actions, active);
      environment.rewards[0] = Number.NaN;
    };
    const [ended] = await ends(player, [at(0, requestOf())], 1);
    const { reason, message } = ended!.result as Unplayed;
    expect([reason, message]).toEqual([
      "environment",
      "environment Pendulum-v1: expected a finite reward, got NaN or infinity in instance 0; mend the environment's step",
    ]);
  });

  it("takes newer weights between two steps, each step saying with which version it was chosen", async () => {
    const environment = vectorizeEnvironment(LIMIT_SPEC, () => new Endless(), 1);
    const { player, model, tell } = await playerOf(environment, { kind: "mlp", hidden: [4] });
    const limits = { maxSteps: 1000, deadlineSeconds: 0 };
    const first = await player.play([at(0, requestOf({ limits }))]);
    tell({ kind: "weights", weights: { ...initialWeights(model, 4), version: 8 } });
    const [ended] = [...first, ...(await ends(player, [], 1))];
    const { versionRunLengths, versionRunValues } = columnsOf(ended!);
    expect([...versionRunValues]).toEqual([5, 8]);
    expect(versionRunLengths[0]! + versionRunLengths[1]!).toBe(1000);
  });
});
