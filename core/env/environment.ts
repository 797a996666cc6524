/**
 * THE environment seam. Users write one Gymnasium-shaped `Environment`; everything above it sees only
 * `VectorEnvironment`: many instances stepped together on typed arrays.
 */
import type { z } from "zod";
import type { NamedNumbers } from "./named-numbers.js";
import type { Space } from "./spaces.js";

/** What an environment is, before an instance exists. */
export interface EnvironmentSpec {
  readonly id: string;
  readonly observationSpace: Space;
  readonly actionSpace: Space;
  /** Steps after which an episode is truncated; null = never. */
  readonly maxEpisodeSteps: number | null;
  /** Mean return at which the environment counts as solved; null = none published. */
  readonly rewardThreshold: number | null;
  /** It says at every step which of its discrete actions may be chosen; absent = false: all may. */
  readonly actionMasks?: boolean;
  /** An instance can be left and returned to by `snapshot` and `restore`; absent = false. */
  readonly snapshots?: boolean;
  /** It names the state before every step, for comparing what was done in the same; absent = false: observations do. */
  readonly anchorKeys?: boolean;
  /** Its states come again, and equal observations are the same state; absent = only where observations are integers. */
  readonly anchorObservations?: boolean;
  /** Names of numbers that it gives with every step, beside the reward; absent = none. */
  readonly stepExtras?: readonly string[];
  /** Names of numbers that it gives at the end of every episode, beside return and length; absent = none. */
  readonly counters?: readonly string[];
  /** It says for every step what its deterministic part alone leads to; absent = false. */
  readonly postDecisionStates?: boolean;
}

/** One element of a space as a user's environment sees it: a number for discrete spaces, else an array. */
export type Observation = number | ArrayLike<number>;
export type Action = number | readonly number[];

export interface StepResult {
  readonly observation: Observation;
  readonly reward: number;
  /** The episode reached an end state: nothing comes after it. */
  readonly terminated: boolean;
  /** The episode was cut short (a time limit): its value goes on. */
  readonly truncated: boolean;
  /** Of this step, by the names that the description has under `stepExtras`; each finite. */
  readonly extras?: Readonly<Record<string, number>>;
  /**
   * Of the episode so far, by the names that the description has under `counters`; NaN = nothing to count. Read where the
   * episode ends, be it by `maxEpisodeSteps`.
   */
  readonly counters?: Readonly<Record<string, number>>;
}

/** A single environment, as users write it. Every call may be asynchronous. */
export interface Environment {
  /** Starts an episode. The same seed gives the same episode for the same actions. */
  reset(options: { readonly seed: number }): Observation | Promise<Observation>;
  step(action: Action): StepResult | Promise<StepResult>;
  /**
   * Which actions may be chosen now: one 1 or 0 (true or false) for each of the n actions, or for each choice of a
   * multi-discrete action, part after part. At least one of each part must be allowed. Asked for after `reset` and
   * after every `step` that ends no episode, where the description says `actionMasks: true`.
   */
  actionMask?(): ActionMask | Promise<ActionMask>;
  /**
   * Everything that decides how the running episode goes on, as bytes. Asked for between two steps, where the
   * description says `snapshots: true`. What `maxEpisodeSteps` counts is kept beside it.
   */
  snapshot?(): Uint8Array | Promise<Uint8Array>;
  /**
   * Returns to a snapshot of this or another instance, whatever was played since. Where `seed` is null the same actions
   * bring the same steps; else what is random from here on is drawn anew, from that seed.
   */
  restore?(snapshot: Uint8Array, options: { readonly seed: number | null }): void | Promise<void>;
  /**
   * What counts as the same state: steps with equal keys are compared with one another, whatever was observed. Text
   * without U+0000. Asked for when `actionMask` is, where the description says `anchorKeys: true`.
   */
  anchorKey?(): string | Promise<string>;
  /**
   * What would be observed after `action`, which is taken next, had chance not yet had its part in it (the post-decision
   * state). Asked for before every `step`, where the description says `postDecisionStates: true`.
   */
  postDecisionState?(action: Action): Observation | Promise<Observation>;
  close?(): void | Promise<void>;
}

export type ActionMask = ArrayLike<number> | ArrayLike<boolean>;

/** Actions of `count` instances: Int32Array for discrete spaces, Float32Array for boxes; [count · width]. */
export type ActionArray = Int32Array | Float32Array;

/**
 * `count` instances stepped together, each with its own random stream. After `step`, an instance whose episode
 * ended has already been reset: `observations` holds the first observation of its next episode and
 * `finalObservations` the last one of the episode that ended.
 */
export interface VectorEnvironment {
  readonly spec: EnvironmentSpec;
  readonly count: number;
  /** [count · O] */
  readonly observations: Float32Array;
  /** [count · O]; defined for an instance only directly after a step that ended its episode. */
  readonly finalObservations: Float32Array;
  /** [count] */
  readonly rewards: Float64Array;
  /** [count], 0 or 1 */
  readonly terminated: Uint8Array;
  /** [count], 0 or 1; never 1 together with `terminated` */
  readonly truncated: Uint8Array;
  /** [count · P] 1 = may be chosen in the next step, P = `choicesOf(actionSpace)`; null = all may, always */
  readonly actionMasks: Uint8Array | null;
  /** [count] of the state that each instance shows; null = the observation names it */
  readonly anchorKeys: readonly string[] | null;
  /** [count · O] of the step just taken: what its deterministic part alone leads to; null = it does not say */
  readonly postDecisionObservations: Float32Array | null;
  /** [count] each, of the step just taken: what `spec.stepExtras` names; finite */
  readonly stepExtras: NamedNumbers;
  /** [count] each, what `spec.counters` names; defined for an instance only directly after a step that ended its episode. NaN = nothing */
  readonly counters: NamedNumbers;
  /** Seeds and resets every instance; `seeds` [count]. */
  reset(seeds: Uint32Array): void | Promise<void>;
  /** Seeds and resets instance i alone, to what `reset` with that seed makes of it; the others stay as they are. */
  resetInstance(i: number, seed: number): void | Promise<void>;
  /**
   * All instances take a step. Or those that `active` [count] marks with 1: the others stay as they are, and one whose
   * episode ended begins no other before its `resetInstance`. Instances fail each for itself (InstanceFailures).
   */
  step(actions: ActionArray, active?: Uint8Array | null): void | Promise<void>;
  /**
   * Everything that decides the future of instance i, whose episode is running: state, steps taken, random stream. Where
   * `spec.snapshots`.
   */
  snapshot?(i: number): Uint8Array | Promise<Uint8Array>;
  /**
   * Instance i, whatever became of its episode, goes on from a snapshot of any instance of this environment: it shows
   * what was shown there, and the same actions bring the same steps. With a seed its random stream begins anew instead.
   * Throws SHAPE where the bytes are no snapshot of this environment.
   */
  restore?(i: number, snapshot: Uint8Array, seed?: number | null): void | Promise<void>;
  close?(): void | Promise<void>;
}

/** How to make an environment: an id, its parameters and a vectorised constructor. */
export interface EnvironmentDefinition<P = unknown> {
  readonly id: string;
  readonly params: z.ZodType<P>;
  spec(params: P): EnvironmentSpec;
  vectorize(spec: EnvironmentSpec, params: P, count: number): VectorEnvironment;
}
