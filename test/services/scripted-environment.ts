/** A vector environment that plays a script, and a recorder of what it did, step by step, that shares no code with Skein's. */
import type { ActionArray, EnvironmentSpec, VectorEnvironment } from "../../core/env/environment.js";
import { box, discrete, type Space } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

export interface ScriptedStep {
  readonly reward: number;
  readonly terminated: boolean;
  readonly truncated: boolean;
}

/** Observation of instance i after n resets and t steps in all: recognisable and unique. */
export const observationOf = (i: number, resets: number, t: number): [number, number] => [i + resets / 16, t];

/** Mask over three actions before step t: one of the seven that allow something. */
export const maskOf = (i: number, resets: number, t: number): [number, number, number] => {
  const bits = 1 + ((i + 2 * resets + 3 * t) % 7);
  return [bits & 1, (bits >> 1) & 1, bits >> 2];
};

/** Key of the state before step t: one of four. */
export const anchorOf = (i: number, resets: number, t: number): string => `state ${(i + resets + t) % 4}`;

/** What the deterministic part of step t leads to. */
export const postOf = (i: number, resets: number, t: number, action: number): [number, number] => {
  return [i + resets / 16, t + action / 8];
};

/** A number of step t. */
export const extraOf = (i: number, resets: number, t: number): number => i + resets / 16 + t / 8;

/** A number of the episode that ends with step t; nothing for every third. */
export const counterOf = (i: number, resets: number, t: number): number =>
  resets % 3 === 2 ? NaN : i + 2 * resets + 4 * t;

/** Step t of instance i is `script(i, t)`; resets as the seam says: in the same step. Masks discrete actions, and says more of states, then. */
export class ScriptedEnvironment implements VectorEnvironment {
  readonly spec: EnvironmentSpec;
  readonly observations: Float32Array;
  readonly finalObservations: Float32Array;
  readonly rewards: Float64Array;
  readonly terminated: Uint8Array;
  readonly truncated: Uint8Array;
  readonly actionMasks: Uint8Array | null;
  readonly anchorKeys: string[] | null;
  readonly postDecisionObservations: Float32Array | null;
  readonly stepExtras: Readonly<Record<string, Float64Array>>;
  readonly counters: Readonly<Record<string, Float64Array>>;
  private readonly resets: number[];
  private t = 0;

  constructor(
    readonly count: number,
    private readonly script: (i: number, t: number) => ScriptedStep,
    actionSpace: Space = discrete(3),
  ) {
    this.spec = {
      ...{ id: "scripted", observationSpace: box([2], -1, 1), actionSpace },
      ...{ maxEpisodeSteps: null, rewardThreshold: null, stepExtras: ["extra"], counters: ["counter"] },
    };
    this.observations = new Float32Array(2 * count);
    this.finalObservations = new Float32Array(2 * count);
    this.rewards = new Float64Array(count);
    this.terminated = new Uint8Array(count);
    this.truncated = new Uint8Array(count);
    this.actionMasks = actionSpace.kind === "discrete" ? new Uint8Array(3 * count) : null;
    this.anchorKeys = actionSpace.kind === "discrete" ? new Array<string>(count).fill("") : null;
    this.postDecisionObservations = actionSpace.kind === "discrete" ? new Float32Array(2 * count) : null;
    this.stepExtras = { extra: new Float64Array(count) };
    this.counters = { counter: new Float64Array(count) };
    this.resets = new Array<number>(count).fill(0);
    this.reset();
  }

  reset(): void {
    for (let i = 0; i < this.count; i++) this.show(i, 0);
  }

  resetInstance(i: number): void {
    this.resets[i]!++;
    this.show(i, this.t);
  }

  step(actions: ActionArray, active: Uint8Array | null = null): void {
    const t = this.t++;
    for (let i = 0; i < this.count; i++) {
      if (active?.[i] === 0) continue;
      const { reward, terminated, truncated } = this.script(i, t);
      this.rewards[i] = reward;
      this.terminated[i] = terminated ? 1 : 0;
      this.truncated[i] = truncated ? 1 : 0;
      this.postDecisionObservations?.set(postOf(i, this.resets[i]!, t, actions[i]!), 2 * i);
      const ended = terminated || truncated;
      this.stepExtras["extra"]![i] = extraOf(i, this.resets[i]!, t);
      // What an unended instance holds here means nothing: it must not be read.
      this.counters["counter"]![i] = ended ? counterOf(i, this.resets[i]!, t) : Infinity;
      this.finalObservations.set(ended ? observationOf(i, this.resets[i]!, t + 1) : [NaN, NaN], 2 * i);
      if (ended && active === null) this.resets[i]!++;
      this.show(i, t + 1);
    }
  }

  private show(i: number, t: number): void {
    this.observations.set(observationOf(i, this.resets[i]!, t), 2 * i);
    this.actionMasks?.set(maskOf(i, this.resets[i]!, t), 3 * i);
    if (this.anchorKeys !== null) this.anchorKeys[i] = anchorOf(i, this.resets[i]!, t);
  }
}

/** A script drawn at random: rewards that are sums of powers of two, so that adding them is exact. */
export function randomScript(
  random: Random,
  count: number,
  steps: number,
): (i: number, t: number) => ScriptedStep {
  const all = Array.from({ length: count * steps }, () => {
    const dice = random.uniform();
    return { reward: random.integer(64) / 8 - 4, terminated: dice < 0.15, truncated: dice > 0.9 };
  });
  return (i, t) => all[t * count + i]!;
}
