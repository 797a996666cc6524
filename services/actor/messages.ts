/** What an actor's main thread and its rollout threads say to each other. */
import type { MessagePort } from "node:worker_threads";
import type { RunConfig } from "../../core/config/schema.js";
import type { RolloutColumns, RolloutRequest, WeightsSnapshot } from "../../core/types.js";

/** What a rollout thread is started with. */
export interface ThreadStart {
  readonly port: MessagePort;
  readonly config: RunConfig;
  /**
   * Shared memory in which the thread says how many environment steps it has taken: for a fragment all together in
   * [0], for members of groups by instance [E].
   */
  readonly steps: Uint32Array;
}

/** A member's episode, to be played in one environment instance, which is free. */
export interface Assignment {
  readonly instance: number;
  readonly request: RolloutRequest;
  /** Until the episode is cut; Infinity = never. */
  readonly secondsLeft: number;
}

export type ToThread =
  /** Newer weights: to be swapped in between two steps. Not answered. */
  | { readonly kind: "weights"; readonly weights: WeightsSnapshot }
  /** Collect one fragment, with these weights where given, else with the newest received. */
  | { readonly kind: "collect"; readonly request: RolloutRequest; readonly weights: WeightsSnapshot | null }
  /** Begin these episodes and play them and those begun before, until one ends or a moment has passed. */
  | { readonly kind: "play"; readonly assignments: readonly Assignment[] };

export interface Collected {
  readonly request: RolloutRequest;
  readonly columns: RolloutColumns;
  readonly inferenceSeconds: number;
  readonly environmentSeconds: number;
}

/** A member's episode that came to nothing. */
export interface Unplayed {
  readonly request: RolloutRequest;
  readonly reason: "environment" | "deadline";
  readonly message: string;
}

export interface Ended {
  readonly instance: number;
  readonly result: Collected | Unplayed;
}

export type FromThread =
  /** `engine`: the id of the one that runs, and on what. */
  | { readonly kind: "ready"; readonly engine: string; readonly detail: string }
  /** `swaps`: times that newer weights were swapped in since the last answer. */
  | { readonly kind: "fragment"; readonly collected: Collected; readonly swaps: number }
  | { readonly kind: "played"; readonly ended: readonly Ended[]; readonly swaps: number };
