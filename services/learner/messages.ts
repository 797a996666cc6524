/** What a learner's main thread and its training thread say to each other. */
import type { MessagePort } from "node:worker_threads";
import type { RunConfig } from "../../core/config/schema.js";
import type { Rollout, WeightsSnapshot } from "../../core/types.js";
import type { TrainedBatch, TrainerState } from "./trainer.js";

/** What the training thread is started with. */
export interface ThreadStart {
  readonly port: MessagePort;
  readonly config: RunConfig;
  /** null = version 0 */
  readonly resumed: TrainerState | null;
}

/** Each is answered, and asked only once the one before is answered. */
export type ToThread =
  | {
      readonly kind: "train";
      readonly rollouts: readonly Rollout[];
      readonly learningRate: number;
      /** The one that this batch makes. */
      readonly version: number;
    }
  | { readonly kind: "state" };

export type FromThread =
  /**
   * `engine`: the id of the one that runs, and on what; `weights`: those it begins with; `stateWidth`: numbers of
   * memory that the network carries from step to step.
   */
  | {
      readonly kind: "ready";
      readonly engine: string;
      readonly detail: string;
      readonly stateWidth: number;
      readonly weights: WeightsSnapshot;
    }
  | { readonly kind: "trained"; readonly batch: TrainedBatch }
  | { readonly kind: "state"; readonly state: TrainerState };
