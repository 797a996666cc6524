/** Gathers one episode of one environment instance into one row, which begins without memory. */
import type { ActionArray, VectorEnvironment } from "../../core/env/environment.js";
import { choicesOf, widthOf } from "../../core/env/spaces.js";
import { StopReason, type RolloutColumns } from "../../core/types.js";
import { AnchorTable } from "./anchors.js";
import { Growing } from "./growing.js";
import { expectSoundSteps, versionRuns } from "./steps.js";

export interface EpisodeIdentity {
  readonly seed: number;
  readonly trajectoryId: number;
  /** S */
  readonly stateWidth: number;
}

export class EpisodeBuilder {
  private readonly observations = new Growing((n) => new Float32Array(n));
  private readonly actions: Growing<Float32Array> | Growing<Int32Array>;
  private readonly actionMasks = new Growing((n) => new Uint8Array(n));
  private readonly anchors = new AnchorTable();
  private readonly anchorIndices = new Growing((n) => new Uint32Array(n));
  private readonly logprobs = new Growing((n) => new Float32Array(n));
  private readonly rewards = new Growing((n) => new Float32Array(n));
  private readonly versions = new Growing((n) => new Uint32Array(n));
  private readonly observationWidth: number;
  private readonly actionWidth: number;
  private readonly actionMaskWidth: number;
  private episodeReturn = 0;
  private length = 0;

  constructor(
    private readonly environment: VectorEnvironment,
    private readonly instance: number,
    private readonly identity: EpisodeIdentity,
  ) {
    const { observationSpace, actionSpace } = environment.spec;
    this.observationWidth = widthOf(observationSpace);
    this.actionWidth = widthOf(actionSpace);
    this.actionMaskWidth = environment.actionMasks === null ? 0 : choicesOf(actionSpace);
    this.actions =
      actionSpace.kind === "box"
        ? new Growing((n) => new Float32Array(n))
        : new Growing((n) => new Int32Array(n));
  }

  /** Steps so far. */
  get steps(): number {
    return this.length;
  }

  /** Before the environment steps: what the policy saw and chose. Both arrays are those of all instances. */
  decide(actions: ActionArray, logprobs: Float32Array, version: number): void {
    const { environment, instance: i, observationWidth: o, actionWidth: a, actionMaskWidth: p } = this;
    this.observations.push(environment.observations, i * o, o);
    this.actions.push(actions, i * a, a);
    if (environment.actionMasks !== null) this.actionMasks.push(environment.actionMasks, i * p, p);
    if (environment.anchorKeys !== null) {
      this.anchorIndices.push([this.anchors.numberOf(environment.anchorKeys[i]!)]);
    }
    this.logprobs.push(logprobs, i);
    this.versions.push([version]);
  }

  /** After the environment stepped: how the episode ended, or null where it goes on. */
  outcome(): StopReason | null {
    const { environment, instance: i } = this;
    this.rewards.push(environment.rewards, i);
    this.episodeReturn += environment.rewards[i]!;
    this.length++;
    if (environment.terminated[i] === 1) return StopReason.terminated;
    return environment.truncated[i] === 1 ? StopReason.truncated : null;
  }

  /**
   * The record of an episode that the environment ended, or one `cut` after its last step, which then shows as
   * truncated: it bootstraps from what would have been seen next. Throws ENVIRONMENT_FAILED as `expectSoundSteps` does.
   */
  finish(stop: StopReason, cut: boolean): RolloutColumns {
    const { environment, instance: i, length, observationWidth: o, identity } = this;
    const finals = cut ? environment.observations : environment.finalObservations;
    const terminated = stop === StopReason.terminated;
    const columns: RolloutColumns = {
      observationWidth: o,
      actionWidth: this.actionWidth,
      actionMaskWidth: this.actionMaskWidth,
      stateWidth: identity.stateWidth,
      offsets: Uint32Array.of(0, length),
      observations: this.observations.whole(),
      actions: this.actions.whole(),
      actionMasks: this.actionMasks.whole(),
      anchorIndices: this.anchorIndices.whole(),
      anchorTexts: this.anchors.texts(),
      behaviorLogprobs: this.logprobs.whole(),
      rewards: this.rewards.whole(),
      mask: new Uint8Array(length).fill(1),
      ...versionRuns(this.versions.whole()),
      initialStates: new Float32Array(identity.stateWidth),
      finalObservations: finals.slice(i * o, (i + 1) * o),
      terminated: Uint8Array.of(terminated ? 1 : 0),
      truncated: Uint8Array.of(terminated ? 0 : 1),
      stopReasons: Uint8Array.of(stop),
      trajectoryIds: Uint32Array.of(identity.trajectoryId),
      seeds: Uint32Array.of(identity.seed),
      stepExtras: {},
      rowCounters: {
        episodeReturn: Float32Array.of(this.episodeReturn),
        episodeLength: Float32Array.of(length),
      },
    };
    expectSoundSteps(environment.spec, columns, () => i);
    return columns;
  }
}
