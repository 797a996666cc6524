/** Small environments of the kind users write, and what their failures look like. */
import { expect } from "vitest";
import type { Action, Environment, EnvironmentSpec, StepResult } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import { SkeinError } from "../../core/errors.js";
import { Random } from "../../core/random.js";

export function specOf(changes: Partial<EnvironmentSpec> = {}): EnvironmentSpec {
  return {
    id: "Walk",
    observationSpace: box([2], -100, 100),
    actionSpace: discrete(2),
    maxEpisodeSteps: null,
    rewardThreshold: null,
    ...changes,
  };
}

/** Goes from a seeded start one up or down; observes [place, steps taken]; ends at ±`reach` from the start. */
export class Walk implements Environment {
  readonly seeds: number[] = [];
  private start = 0;
  private place = 0;
  private steps = 0;

  constructor(private readonly reach = Infinity) {}

  reset({ seed }: { readonly seed: number }): number[] {
    this.seeds.push(seed);
    this.start = new Random(seed).integer(50);
    this.place = this.start;
    this.steps = 0;
    return [this.place, this.steps];
  }

  step(action: Action): StepResult {
    this.place += action === 1 ? 1 : -1;
    this.steps++;
    const terminated = Math.abs(this.place - this.start) >= this.reach;
    return { observation: [this.place, this.steps], reward: this.place / 4, terminated, truncated: false };
  }
}

/** An environment that begins well and answers every step with `result`. */
export function answering(result: unknown, first: unknown = [0, 0]): Environment {
  return { reset: () => first as number[], step: () => result as StepResult };
}

export const fine: StepResult = { observation: [0, 0], reward: 0, terminated: false, truncated: false };

/** The SkeinError that comes of it, thrown or rejected. */
export async function failureOf(act: () => unknown): Promise<SkeinError> {
  try {
    await act();
  } catch (error) {
    expect(error).toBeInstanceOf(SkeinError);
    return error as SkeinError;
  }
  throw new Error("nothing was thrown");
}
