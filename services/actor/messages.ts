/** What an actor's main thread and its rollout threads say to each other. */
import type { MessagePort } from "node:worker_threads";
import type { RunConfig } from "../../core/config/schema.js";
import type { RolloutColumns, RolloutRequest, WeightsSnapshot } from "../../core/types.js";

/** What a rollout thread is started with. */
export interface ThreadStart {
  readonly port: MessagePort;
  readonly config: RunConfig;
  readonly seat: number;
}

export type ToThread =
  /** Newer weights: to be swapped in between two steps. Not answered. */
  | { readonly kind: "weights"; readonly weights: WeightsSnapshot }
  /** Collect one fragment, with these weights where given, else with the newest received. */
  | { readonly kind: "collect"; readonly request: RolloutRequest; readonly weights: WeightsSnapshot | null };

export interface FragmentTimes {
  readonly inferenceSeconds: number;
  readonly environmentSeconds: number;
  readonly swaps: number;
}

export type FromThread =
  /** `engine`: the id of the one that runs, and on what. */
  | { readonly kind: "ready"; readonly engine: string; readonly detail: string }
  | {
      readonly kind: "fragment";
      readonly request: RolloutRequest;
      readonly columns: RolloutColumns;
      readonly times: FragmentTimes;
    };
