/** Gathers episodes of one environment instance, one after the other, each into a row; the first one and its branches. */
import type { ActionArray, VectorEnvironment } from "../../core/env/environment.js";
import { choicesOf, widthOf } from "../../core/env/spaces.js";
import { StopReason, type RolloutColumns } from "../../core/types.js";
import { AnchorTable } from "./anchors.js";
import { Growing } from "./growing.js";
import { counterColumns, countersOf, expectSoundSteps, versionRuns } from "./steps.js";

export interface RowStart {
  /** Of the instance's random stream. */
  readonly seed: number;
  readonly trajectoryId: number;
  /** [S] memory of the policy before the first step */
  readonly memory: Float32Array;
  /** Where a branch left the episode, and which of the branches there it is; null = the row is the episode. */
  readonly branch: { readonly at: number; readonly number: number } | null;
}

interface Row extends RowStart {
  readonly from: number;
  readonly to: number;
  readonly stop: StopReason;
  /** [O] */
  readonly finalObservation: Float32Array;
  readonly rewards: number;
  /** The environment's own, of the episode that ended with the row; none where none did. */
  readonly counters: Readonly<Record<string, number>>;
}

export class EpisodeBuilder {
  private readonly observations = new Growing((n) => new Float32Array(n));
  private readonly actions: Growing<Float32Array> | Growing<Int32Array>;
  private readonly actionMasks = new Growing((n) => new Uint8Array(n));
  private readonly anchors = new AnchorTable();
  private readonly anchorIndices = new Growing((n) => new Uint32Array(n));
  private readonly postObservations = new Growing((n) => new Float32Array(n));
  private readonly stepExtras: readonly (readonly [name: string, of: Growing<Float32Array>])[];
  private readonly logprobs = new Growing((n) => new Float32Array(n));
  private readonly rewards = new Growing((n) => new Float32Array(n));
  private readonly versions = new Growing((n) => new Uint32Array(n));
  private readonly observationWidth: number;
  private readonly actionWidth: number;
  private readonly actionMaskWidth: number;
  private readonly rows: Row[] = [];
  private start: RowStart | null;
  private from = 0;
  private length = 0;
  private rewardSum = 0;

  /** `episode` has begun. `branched`: rows say whether they are branches. */
  constructor(
    private readonly environment: VectorEnvironment,
    private readonly instance: number,
    episode: RowStart,
    private readonly branched: boolean,
  ) {
    const { observationSpace, actionSpace } = environment.spec;
    this.observationWidth = widthOf(observationSpace);
    this.actionWidth = widthOf(actionSpace);
    this.actionMaskWidth = environment.actionMasks === null ? 0 : choicesOf(actionSpace);
    this.actions =
      actionSpace.kind === "box"
        ? new Growing((n) => new Float32Array(n))
        : new Growing((n) => new Int32Array(n));
    this.stepExtras = Object.keys(environment.stepExtras).map((name) => [
      name,
      new Growing((n) => new Float32Array(n)),
    ]);
    this.start = episode;
  }

  /** Steps so far, of all rows. */
  get steps(): number {
    return this.length;
  }

  /** Steps of the row under way; of the last one where none is. */
  get rowSteps(): number {
    return this.length - this.from;
  }

  /** The row under way; null between two. */
  get row(): RowStart | null {
    return this.start;
  }

  begin(row: RowStart): void {
    this.start = row;
    this.from = this.length;
    this.rewardSum = 0;
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

  /** After the environment stepped. The row is over where the episode ended. */
  outcome(): void {
    const { environment, instance: i, observationWidth: o } = this;
    const { postDecisionObservations } = environment;
    if (postDecisionObservations !== null) this.postObservations.push(postDecisionObservations, i * o, o);
    for (const [name, values] of this.stepExtras) values.push(environment.stepExtras[name]!, i);
    this.rewards.push(environment.rewards, i);
    this.rewardSum += environment.rewards[i]!;
    this.length++;
    if (environment.terminated[i] === 1) this.end(StopReason.terminated);
    else if (environment.truncated[i] === 1) this.end(StopReason.truncated);
  }

  /**
   * Ends the row under way after its last step, which then shows as truncated: it bootstraps from what would have been
   * seen next. A row without a step is none.
   */
  cut(stop: StopReason): void {
    if (this.rowSteps > 0) this.close(stop, this.environment.observations, {});
    else this.start = null;
  }

  /** The record of all rows. Throws ENVIRONMENT_FAILED as `expectSoundSteps` does. */
  finish(): RolloutColumns {
    const { environment, rows, length } = this;
    const counter = (of: (row: Row) => number): Float32Array => Float32Array.from(rows, of);
    const ofEpisode = (of: (row: Row) => number) =>
      counter((row) => (row.branch === null ? of(row) : Number.NaN));
    const columns: RolloutColumns = {
      observationWidth: this.observationWidth,
      actionWidth: this.actionWidth,
      actionMaskWidth: this.actionMaskWidth,
      stateWidth: rows[0]?.memory.length ?? 0,
      offsets: Uint32Array.of(0, ...rows.map(({ to }) => to)),
      observations: this.observations.whole(),
      actions: this.actions.whole(),
      actionMasks: this.actionMasks.whole(),
      anchorIndices: this.anchorIndices.whole(),
      anchorTexts: this.anchors.texts(),
      postObservations: this.postObservations.whole(),
      behaviorLogprobs: this.logprobs.whole(),
      rewards: this.rewards.whole(),
      mask: new Uint8Array(length).fill(1),
      ...versionRuns(this.versions.whole()),
      initialStates: together(rows.map(({ memory }) => memory)),
      finalObservations: together(rows.map(({ finalObservation }) => finalObservation)),
      terminated: Uint8Array.from(rows, ({ stop }) => (stop === StopReason.terminated ? 1 : 0)),
      truncated: Uint8Array.from(rows, ({ stop }) => (stop === StopReason.terminated ? 0 : 1)),
      stopReasons: Uint8Array.from(rows, ({ stop }) => stop),
      trajectoryIds: Uint32Array.from(rows, ({ trajectoryId }) => trajectoryId),
      seeds: Uint32Array.from(rows, ({ seed }) => seed),
      stepExtras: Object.fromEntries(this.stepExtras.map(([name, values]) => [name, values.whole()])),
      rowCounters: {
        episodeReturn: ofEpisode(({ rewards }) => rewards),
        episodeLength: ofEpisode(({ from, to }) => to - from),
        ...(this.branched
          ? {
              branchAt: counter(({ branch }) => branch?.at ?? Number.NaN),
              branchNumber: counter(({ branch }) => branch?.number ?? Number.NaN),
            }
          : {}),
        ...counterColumns(
          Object.keys(environment.counters),
          rows.map(({ counters }) => counters),
        ),
      },
    };
    expectSoundSteps(environment.spec, columns, () => this.instance);
    return columns;
  }

  /** The environment ended the episode. */
  private end(stop: StopReason): void {
    const { environment, instance } = this;
    this.close(stop, environment.finalObservations, countersOf(environment, instance));
  }

  private close(stop: StopReason, finals: Float32Array, counters: Row["counters"]): void {
    if (this.start === null) return;
    const { instance: i, observationWidth: o, from, length: to, rewardSum: rewards } = this;
    const finalObservation = finals.slice(i * o, (i + 1) * o);
    this.rows.push({ ...this.start, from, to, stop, finalObservation, rewards, counters });
    this.start = null;
  }
}

function together(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
