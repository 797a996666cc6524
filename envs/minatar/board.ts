/**
 * What the five MinAtar games have in common (Young & Tian 2019, "MinAtar: An Atari-inspired testbed for thorough and
 * reproducible reinforcement learning experiments", arXiv:1903.03176): a board of 10×10 cells seen as binary channels,
 * and sticky actions. The rules, the order in which things happen and the draws are those of MinAtar 1.0.15 with the
 * minimal action sets, `MinAtar/<game>-v1`; an episode forgets the last action of the one before.
 */
import { z } from "zod";
import { ArrayEnvironment } from "../../core/env/array-environment.js";
import type { ActionArray, EnvironmentDefinition, EnvironmentSpec } from "../../core/env/environment.js";
import { box, discrete } from "../../core/env/spaces.js";
import type { Random } from "../../core/random.js";

/** Rows and columns of the board. */
export const SIZE = 10;

export const stickyParams = {
  stickyActions: z
    .number()
    .min(0)
    .max(1)
    .default(0.1)
    .describe("Probability that a step repeats the action of the step before"),
};

export const rampingParams = {
  ...stickyParams,
  ramping: z.boolean().default(true).describe("The game becomes harder as it goes on"),
};

export function onBoard(x: number): boolean {
  return x >= 0 && x < SIZE;
}

/** The nearest coordinate on the board. */
export function clamp(x: number, low = 0, high = SIZE - 1): number {
  return Math.min(Math.max(x, low), high);
}

/** Fills cell (row y, column x) of a channel. */
export type Fill = (x: number, y: number, channel: number) => void;

/** State: the last action, then `columns` of the game's own, taken in order with `column` and `columns`. */
export abstract class MinAtarGame extends ArrayEnvironment {
  private readonly channels: number;
  private taken = 0;
  private readonly lastAction = this.column();

  constructor(
    spec: EnvironmentSpec,
    count: number,
    columns: number,
    private readonly stickyActions: number,
  ) {
    super(spec, count, columns + 1);
    this.channels = this.observations.length / (count * SIZE * SIZE);
  }

  protected abstract start(i: number, random: Random): void;
  /** One step of the game; adds to `rewards[i]` and sets `terminated[i]` where it ends. */
  protected abstract play(i: number, action: number, random: Random): void;
  protected abstract draw(i: number, fill: Fill): void;

  /** The next free column of the state. */
  protected column(): Float64Array {
    return this.state[this.taken++]!;
  }

  protected columns(count: number): readonly Float64Array[] {
    return Array.from({ length: count }, () => this.column());
  }

  protected begin(i: number, random: Random): void {
    this.lastAction[i] = 0;
    this.start(i, random);
  }

  advance(i: number, actions: ActionArray): void {
    const random = this.random[i]!;
    if (random.uniform() >= this.stickyActions) this.lastAction[i] = actions[i]!;
    this.rewards[i] = 0;
    this.terminated[i] = 0;
    this.play(i, this.lastAction[i]!, random);
  }

  observe(i: number, out: Float32Array, at: number): void {
    out.fill(0, at, at + SIZE * SIZE * this.channels);
    this.draw(i, (x, y, channel) => {
      out[at + (y * SIZE + x) * this.channels + channel] = 1;
    });
  }
}

/** A definition from what differs between the games. */
export function defineGame<P>(
  name: string,
  channels: number,
  actions: number,
  params: z.ZodType<P>,
  vectorize: EnvironmentDefinition<P>["vectorize"],
  maxEpisodeSteps: number | null = null,
): EnvironmentDefinition<P> {
  const spec: EnvironmentSpec = {
    id: `MinAtar/${name}-v1`,
    observationSpace: box([SIZE, SIZE, channels], 0, 1),
    actionSpace: discrete(actions),
    maxEpisodeSteps,
    rewardThreshold: null,
    snapshots: true,
  };
  return { id: spec.id, params, spec: () => spec, vectorize };
}
