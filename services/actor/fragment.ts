/**
 * Gathers T steps of E instances into ragged rows: instance by instance, a new row wherever an episode ended.
 * Arrays are laid out [E, T] from the start, so nothing is transposed at the end. The first row of an instance starts
 * with the memory the instance brought along, every other with an episode and so with none.
 */
import type { ActionArray, VectorEnvironment } from "../../core/env/environment.js";
import { choicesOf, widthOf } from "../../core/env/spaces.js";
import { StopReason, type RolloutColumns } from "../../core/types.js";
import { AnchorTable } from "./anchors.js";
import { counterColumns, countersOf, expectSoundSteps, versionRuns } from "./steps.js";

const TERMINATED = 1;
const TRUNCATED = 2;

/** What goes on from one fragment to the next: the running episode of each instance. */
export class EpisodeBook {
  readonly returns: Float64Array;
  readonly lengths: Uint32Array;
  readonly trajectoryIds: Uint32Array;
  private lastTrajectoryId: number;

  /** Trajectories are numbered from `before` + 1. */
  constructor(count: number, before = 0) {
    this.returns = new Float64Array(count);
    this.lengths = new Uint32Array(count);
    this.trajectoryIds = Uint32Array.from({ length: count }, (_, i) => before + i + 1);
    this.lastTrajectoryId = before + count;
  }

  startNext(i: number): void {
    this.returns[i] = 0;
    this.lengths[i] = 0;
    this.trajectoryIds[i] = ++this.lastTrajectoryId;
  }
}

interface EndedEpisode {
  readonly finalObservation: Float32Array;
  readonly counters: Readonly<Record<string, number>>;
  readonly trajectoryId: number;
}

export class FragmentBuilder {
  private readonly observations: Float32Array;
  private readonly actions: ActionArray;
  private readonly logprobs: Float32Array;
  private readonly rewards: Float32Array;
  private readonly ends: Uint8Array;
  private readonly versions: Uint32Array;
  private readonly ended: EndedEpisode[][];
  private readonly observationWidth: number;
  private readonly actionWidth: number;
  private readonly actionMaskWidth: number;
  private readonly actionMasks: Uint8Array;
  private readonly anchors = new AnchorTable();
  private readonly anchorIndices: Uint32Array;
  private readonly postObservations: Float32Array;
  private readonly stepExtras: Readonly<Record<string, Float32Array>>;
  private readonly stateWidth: number;
  /** [E·S] */
  private readonly startStates: Float32Array;
  private t = 0;

  /**
   * `steps` T of each of the environment's instances; `seeds` [E] are recorded with the rows, `states` [E·S] is the
   * memory of each instance before its first step here.
   */
  constructor(
    private readonly environment: VectorEnvironment,
    private readonly book: EpisodeBook,
    private readonly steps: number,
    private readonly seeds: Uint32Array,
    states: Float32Array,
  ) {
    const { count, spec } = environment;
    const total = count * steps;
    this.observationWidth = widthOf(spec.observationSpace);
    this.actionWidth = widthOf(spec.actionSpace);
    this.actionMaskWidth = environment.actionMasks === null ? 0 : choicesOf(spec.actionSpace);
    this.actionMasks = new Uint8Array(total * this.actionMaskWidth);
    this.anchorIndices = new Uint32Array(environment.anchorKeys === null ? 0 : total);
    this.stateWidth = states.length / count;
    this.startStates = states.slice();
    this.observations = new Float32Array(total * this.observationWidth);
    const postTotal = environment.postDecisionObservations === null ? 0 : this.observations.length;
    this.postObservations = new Float32Array(postTotal);
    this.stepExtras = Object.fromEntries(
      Object.keys(environment.stepExtras).map((name) => [name, new Float32Array(total)]),
    );
    this.actions =
      spec.actionSpace.kind === "box" ? new Float32Array(total * this.actionWidth) : new Int32Array(total);
    this.logprobs = new Float32Array(total);
    this.rewards = new Float32Array(total);
    this.ends = new Uint8Array(total);
    this.versions = new Uint32Array(steps);
    this.ended = Array.from({ length: count }, () => []);
  }

  /** Before the environment steps: what the policy saw and chose. */
  decide(actions: ActionArray, logprobs: Float32Array, version: number): void {
    const { observationWidth: o, actionWidth: a, actionMaskWidth: p, steps, t } = this;
    const { observations: seen, actionMasks: allowed, anchorKeys } = this.environment;
    this.versions[t] = version;
    for (let i = 0; i < this.environment.count; i++) {
      const at = i * steps + t;
      for (let k = 0; k < o; k++) this.observations[at * o + k] = seen[i * o + k]!;
      for (let k = 0; k < a; k++) this.actions[at * a + k] = actions[i * a + k]!;
      for (let k = 0; k < p; k++) this.actionMasks[at * p + k] = allowed![i * p + k]!;
      if (anchorKeys !== null) this.anchorIndices[at] = this.anchors.numberOf(anchorKeys[i]!);
      this.logprobs[at] = logprobs[i]!;
    }
  }

  /** After the environment stepped. */
  outcome(): void {
    const { environment, book, steps, t, observationWidth: o } = this;
    const { rewards, terminated, truncated, finalObservations, postDecisionObservations } = environment;
    for (let i = 0; i < environment.count; i++) {
      const at = i * steps + t;
      this.rewards[at] = rewards[i]!;
      if (postDecisionObservations !== null) {
        this.postObservations.set(postDecisionObservations.subarray(i * o, (i + 1) * o), at * o);
      }
      book.returns[i]! += rewards[i]!;
      book.lengths[i]!++;
      const end = terminated[i] === 1 ? TERMINATED : truncated[i] === 1 ? TRUNCATED : 0;
      if (end === 0) continue;
      this.ends[at] = end;
      this.ended[i]!.push({
        finalObservation: finalObservations.slice(i * o, (i + 1) * o),
        counters: {
          ...{ episodeReturn: book.returns[i]!, episodeLength: book.lengths[i]! },
          ...countersOf(environment, i),
        },
        trajectoryId: book.trajectoryIds[i]!,
      });
      book.startNext(i);
    }
    for (const [name, values] of Object.entries(environment.stepExtras)) {
      const column = this.stepExtras[name]!;
      values.forEach((value, i) => (column[i * steps + t] = value));
    }
    this.t++;
  }

  /**
   * The finished record. Throws ENVIRONMENT_FAILED as `expectSoundSteps` does.
   */
  finish(): RolloutColumns {
    const { environment, steps, observationWidth: o, stateWidth: s } = this;
    const offsets: number[] = [0];
    const ends: number[] = [];
    const seeds: number[] = [];
    const trajectoryIds: number[] = [];
    const finals: Float32Array[] = [];
    const counters: Readonly<Record<string, number>>[] = [];
    const firstRows: number[] = [];
    const close = (i: number, end: number, at: number, episode: EndedEpisode | null): void => {
      offsets.push(at);
      ends.push(end);
      seeds.push(this.seeds[i]!);
      trajectoryIds.push(episode?.trajectoryId ?? this.book.trajectoryIds[i]!);
      finals.push(episode?.finalObservation ?? environment.observations.subarray(i * o, (i + 1) * o));
      counters.push(episode?.counters ?? {});
    };
    for (let i = 0; i < environment.count; i++) {
      const episodes = this.ended[i]!.values();
      firstRows.push(ends.length);
      for (let t = 0; t < steps; t++) {
        const end = this.ends[i * steps + t]!;
        if (end !== 0) close(i, end, i * steps + t + 1, episodes.next().value ?? null);
        else if (t === steps - 1) close(i, 0, (i + 1) * steps, null);
      }
    }
    const finalObservations = new Float32Array(finals.length * o);
    finals.forEach((final, k) => finalObservations.set(final, k * o));
    const initialStates = new Float32Array(finals.length * s);
    firstRows.forEach((row, i) => initialStates.set(this.startStates.subarray(i * s, (i + 1) * s), row * s));
    const columns: RolloutColumns = {
      observationWidth: o,
      actionWidth: this.actionWidth,
      actionMaskWidth: this.actionMaskWidth,
      stateWidth: s,
      offsets: Uint32Array.from(offsets),
      observations: this.observations,
      actions: this.actions,
      actionMasks: this.actionMasks,
      anchorIndices: this.anchorIndices,
      anchorTexts: this.anchors.texts(),
      postObservations: this.postObservations,
      behaviorLogprobs: this.logprobs,
      rewards: this.rewards,
      mask: new Uint8Array(this.rewards.length).fill(1),
      ...versionRuns(this.stepVersions()),
      initialStates,
      finalObservations,
      terminated: Uint8Array.from(ends, (end) => (end === TERMINATED ? 1 : 0)),
      truncated: Uint8Array.from(ends, (end) => (end === TRUNCATED ? 1 : 0)),
      stopReasons: Uint8Array.from(ends, (end) =>
        end === TERMINATED
          ? StopReason.terminated
          : end === TRUNCATED
            ? StopReason.truncated
            : StopReason.fragment,
      ),
      trajectoryIds: Uint32Array.from(trajectoryIds),
      seeds: Uint32Array.from(seeds),
      stepExtras: this.stepExtras,
      rowCounters: counterColumns(
        ["episodeReturn", "episodeLength", ...Object.keys(environment.counters)],
        counters,
      ),
    };
    expectSoundSteps(environment.spec, columns, (step) => Math.floor(step / steps));
    return columns;
  }

  /** Every instance steps with the same versions. */
  private *stepVersions(): Generator<number> {
    for (let i = 0; i < this.environment.count; i++) yield* this.versions;
  }
}
