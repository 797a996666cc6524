/** The real player of members over environments and an engine, without the thread around it. */
import { MessageChannel } from "node:worker_threads";
import { afterEach } from "vitest";
import { createEngine } from "../../core/engine/select.js";
import type { Environment, EnvironmentSpec, VectorEnvironment } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import { createModel } from "../../core/model/create.js";
import { initialWeights } from "../../core/model/init.js";
import type { Architecture } from "../../core/model/model.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import type { RolloutRequest } from "../../core/types.js";
import { findEnvironment } from "../../envs/index.js";
import { LiveWeights } from "../../services/actor/live-weights.js";
import { MemberPlayer } from "../../services/actor/member-player.js";
import type { Assignment, Collected, Ended, ToThread } from "../../services/actor/messages.js";

export const RUN_SEED = 17;
const closing: (() => void)[] = [];
afterEach(() => closing.splice(0).forEach((close) => close()));

export const GRU: Architecture = { kind: "gru", hidden: [], units: 6 };

export function builtIn(id: string, count: number): VectorEnvironment {
  const definition = findEnvironment(id);
  const params = definition.params.parse({});
  return definition.vectorize(definition.spec(params), params, count);
}

export const cartPole = (count: number): VectorEnvironment => builtIn("CartPole-v1", count);

export async function playerOf(environment: VectorEnvironment, architecture: Architecture = GRU) {
  const { observationSpace, actionSpace } = environment.spec;
  const model = createModel({ ...architecture, observationSpace, actionSpace });
  const { engine } = await createEngine("tfjs:wasm", model);
  const { port1, port2 } = new MessageChannel();
  closing.push(() => [engine, port1].forEach((thing) => thing.close()));
  const weights = new LiveWeights(engine, port2);
  weights.swap({ ...initialWeights(model, 3), version: 5 });
  const policy = new PolicyRunner(engine, model, environment);
  const progress = new Uint32Array(new SharedArrayBuffer(4 * environment.count));
  const player = new MemberPlayer(environment, policy, weights, RUN_SEED, progress);
  const tell = (message: ToThread): void => port1.postMessage(message);
  return { player, model, engine, progress, tell };
}

let lastRequestId = 0;

export function requestOf(changes: Partial<RolloutRequest> = {}): RolloutRequest {
  return {
    ...{ requestId: ++lastRequestId, task: "task-1", group: 1, member: 0, attempt: 1, seat: 0, seed: 99 },
    ...{ start: "reset", limits: { maxSteps: 0, deadlineSeconds: 0 }, branches: null },
    ...{ policyVersion: 0, exact: false },
    ...changes,
  };
}

export const at = (instance: number, request: RolloutRequest, secondsLeft = Infinity): Assignment => ({
  ...{ instance, request, secondsLeft },
});

/** Plays on until `count` episodes have ended; `assignments` begin at the first call. */
export async function ends(
  player: MemberPlayer,
  assignments: readonly Assignment[],
  count: number,
): Promise<Ended[]> {
  const ended = [...(await player.play(assignments))];
  while (ended.length < count) ended.push(...(await player.play([])));
  return ended;
}

export function columnsOf({ result }: Ended): Collected["columns"] {
  if (!("columns" in result)) throw new Error(`given back: ${result.message}`);
  return result.columns;
}

export function byMember(ended: readonly Ended[], member: number): Ended {
  return ended.find(({ result }) => result.request.member === member)!;
}

export const LIMIT_SPEC: EnvironmentSpec = {
  ...{ id: "Endless", observationSpace: box([1], 0, 1e6), actionSpace: discrete(2) },
  ...{ maxEpisodeSteps: null, rewardThreshold: null },
};

/** Counts its steps and never ends. */
export class Endless implements Environment {
  steps = 0;
  reset(): number[] {
    this.steps = 0;
    return [0];
  }
  step(): ReturnType<Environment["step"]> {
    return { observation: [++this.steps], reward: 0.5, terminated: false, truncated: false };
  }
}
