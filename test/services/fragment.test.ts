import { describe, expect, it } from "vitest";
import { splitAnchorTexts } from "../../core/anchor-texts.js";
import { box, discrete, type Space } from "../../core/env/spaces.js";
import { Random } from "../../core/random.js";
import { StopReason, type RolloutColumns } from "../../core/types.js";
import { columnsComplaint } from "../../core/transport/columns.js";
import { EpisodeBook, FragmentBuilder } from "../../services/actor/fragment.js";
import {
  anchorOf,
  counterOf,
  extraOf,
  maskOf,
  observationOf,
  postOf,
  randomScript,
  ScriptedEnvironment,
  type ScriptedStep,
} from "./scripted-environment.js";

type Script = (i: number, t: number) => ScriptedStep;

const NO_END = { reward: 1, terminated: false, truncated: false };

interface Run {
  readonly count: number;
  /** T of each fragment */
  readonly steps: number;
  readonly fragments: number;
  readonly script: Script;
  /** Policy version at step t of the whole run. */
  readonly version: (t: number) => number;
  readonly actionSpace?: Space;
}

const actionOf = (i: number, t: number, k: number): number => (7 * i + 3 * t + k) % 3;
const logprobOf = (i: number, t: number): number => -(1 + i + t / 64);

/** Two numbers of memory of instance i after n resets and k steps of its episode. */
const memoryOf = (i: number, resets: number, k: number): readonly number[] =>
  k === 0 ? [0, 0] : [i + resets / 16, k];

/** What FragmentBuilder makes of the run. */
function build({
  count,
  steps,
  fragments,
  script,
  version,
  actionSpace = discrete(3),
}: Run): RolloutColumns[] {
  const environment = new ScriptedEnvironment(count, script, actionSpace);
  const book = new EpisodeBook(count);
  const seeds = Uint32Array.from({ length: count }, (_, i) => 1000 + i);
  const width = actionSpace.kind === "box" ? actionSpace.low.length : 1;
  const states = new Float32Array(2 * count);
  const [resets, lengths] = [new Uint32Array(count), new Uint32Array(count)];
  return Array.from({ length: fragments }, (_, f) => {
    const builder = new FragmentBuilder(environment, book, steps, seeds, states);
    for (let t = f * steps; t < (f + 1) * steps; t++) {
      const actions = Array.from({ length: count * width }, (_, k) =>
        actionOf(Math.floor(k / width), t, k % width),
      );
      const logprobs = Float32Array.from({ length: count }, (_, i) => logprobOf(i, t));
      const typed = actionSpace.kind === "box" ? Float32Array.from(actions) : Int32Array.from(actions);
      builder.decide(typed, logprobs, version(t));
      environment.step(typed);
      for (let i = 0; i < count; i++) {
        const ended = environment.terminated[i] === 1 || environment.truncated[i] === 1;
        lengths[i] = ended ? 0 : lengths[i]! + 1;
        if (ended) resets[i]!++;
        states.set(memoryOf(i, resets[i]!, lengths[i]!), 2 * i);
      }
      builder.outcome();
    }
    return builder.finish();
  });
}

interface Row {
  readonly trajectory: string;
  readonly seed: number;
  readonly initialState: readonly number[];
  readonly steps: readonly {
    readonly observation: readonly number[];
    readonly actions: readonly number[];
    readonly mask: readonly number[];
    readonly anchor: string | null;
    readonly post: readonly number[] | null;
    readonly logprob: number;
    readonly reward: number;
    readonly extra: number;
    readonly version: number;
  }[];
  readonly end: "terminated" | "truncated" | "fragment";
  readonly finalObservation: readonly number[];
  readonly episodeReturn: number;
  readonly episodeLength: number;
  readonly counter: number;
}

/** The rows of the same run, recorded one step at a time. */
function record({ count, steps, fragments, script, version, actionSpace }: Run): Row[][] {
  const width = actionSpace?.kind === "box" ? actionSpace.low.length : 1;
  return Array.from({ length: fragments }, (_, f) => {
    const rows: Row[] = [];
    for (let i = 0; i < count; i++) {
      let resets = 0;
      let [episodeReturn, episodeLength] = [0, 0];
      let row: Row["steps"][number][] = [];
      let initialState: readonly number[] = [];
      for (let t = 0; t < (f + 1) * steps; t++) {
        const { reward, terminated, truncated } = script(i, t);
        const observation = observationOf(i, resets, t);
        if (row.length === 0) initialState = memoryOf(i, resets, episodeLength);
        episodeReturn += reward;
        episodeLength++;
        if (t >= f * steps) {
          const actions = Array.from({ length: width }, (_, k) => actionOf(i, t, k));
          const mask = actionSpace?.kind === "box" ? [] : maskOf(i, resets, t);
          const anchor = actionSpace?.kind === "box" ? null : anchorOf(i, resets, t);
          const post = anchor === null ? null : postOf(i, resets, t, actions[0]!);
          const step = { observation, actions, mask, anchor, post, reward, extra: extraOf(i, resets, t) };
          row.push({ ...step, logprob: logprobOf(i, t), version: version(t) });
        }
        const ended = terminated || truncated;
        if (t >= f * steps && (ended || t === (f + 1) * steps - 1)) {
          rows.push({
            ...{ trajectory: `${i}.${resets}`, seed: 1000 + i, initialState, steps: row },
            end: terminated ? "terminated" : truncated ? "truncated" : "fragment",
            finalObservation: observationOf(i, resets, t + 1),
            ...(ended
              ? { episodeReturn, episodeLength, counter: counterOf(i, resets, t) }
              : { episodeReturn: NaN, episodeLength: NaN, counter: NaN }),
          });
          row = [];
        }
        if (ended) {
          resets++;
          [episodeReturn, episodeLength] = [0, 0];
        }
      }
    }
    return rows;
  });
}

/** Columns read back into rows; trajectories keep their numbers. */
function rowsOf(c: RolloutColumns): (Omit<Row, "trajectory"> & { readonly trajectory: number })[] {
  const versions = Array.from(c.versionRunLengths).flatMap((length, k) =>
    new Array<number>(length).fill(c.versionRunValues[k]!),
  );
  const texts = splitAnchorTexts(c.anchorTexts);
  const slice = (array: ArrayLike<number>, at: number, width: number): number[] =>
    Array.from({ length: width }, (_, k) => array[at * width + k]!);
  return Array.from({ length: c.offsets.length - 1 }, (_, r) => ({
    trajectory: c.trajectoryIds[r]!,
    seed: c.seeds[r]!,
    initialState: slice(c.initialStates, r, c.stateWidth),
    steps: Array.from({ length: c.offsets[r + 1]! - c.offsets[r]! }, (_, k) => {
      const at = c.offsets[r]! + k;
      return {
        observation: slice(c.observations, at, c.observationWidth),
        actions: slice(c.actions, at, c.actionWidth),
        mask: slice(c.actionMasks, at, c.actionMaskWidth),
        anchor: c.anchorIndices.length === 0 ? null : texts[c.anchorIndices[at]!]!,
        post: c.postObservations.length === 0 ? null : slice(c.postObservations, at, c.observationWidth),
        logprob: c.behaviorLogprobs[at]!,
        reward: c.rewards[at]!,
        extra: c.stepExtras["extra"]![at]!,
        version: versions[at]!,
      };
    }),
    end: c.terminated[r] === 1 ? "terminated" : c.truncated[r] === 1 ? "truncated" : "fragment",
    finalObservation: slice(c.finalObservations, r, c.observationWidth),
    episodeReturn: c.rowCounters["episodeReturn"]![r]!,
    episodeLength: c.rowCounters["episodeLength"]![r]!,
    counter: c.rowCounters["counter"]![r]!,
  }));
}

const nameless = (row: object): object => ({ ...row, trajectory: null });

describe("a fragment", () => {
  it.each([
    ["discrete actions", discrete(3)],
    ["box actions", box([2], -1, 1)],
  ])(
    "holds the rows that a recorder of single steps finds, over many fragments (%s)",
    (_name, actionSpace) => {
      for (let seed = 0; seed < 25; seed++) {
        const random = new Random(seed);
        const [count, steps, fragments] = [
          1 + random.integer(4),
          1 + random.integer(9),
          1 + random.integer(5),
        ];
        const versions = Array.from({ length: steps * fragments }, () => 0);
        for (let t = 1; t < versions.length; t++) {
          versions[t] = versions[t - 1]! + (random.uniform() < 0.2 ? 1 + random.integer(2) : 0);
        }
        const script = randomScript(random, count, steps * fragments);
        const run: Run = { count, steps, fragments, script, version: (t) => versions[t]!, actionSpace };
        const expected = record(run);
        const trajectories = new Map<number, string>();
        build(run).forEach((columns, f) => {
          expect(columnsComplaint(columns)).toBeNull();
          const rows = rowsOf(columns);
          expect(rows.map(nameless)).toEqual(expected[f]!.map(nameless));
          // Numbers and names of trajectories belong together one to one.
          rows.forEach(({ trajectory }, r) => {
            const name = expected[f]![r]!.trajectory;
            expect(trajectories.get(trajectory) ?? name).toBe(name);
            trajectories.set(trajectory, name);
          });
        });
        expect(new Set(trajectories.values()).size).toBe(trajectories.size);
      }
    },
  );

  it("ends the last row of an instance that ends with the fragment as its episode does, and leaves no empty row", () => {
    const script: Script = (i, t) =>
      t === 3 ? { ...NO_END, terminated: i === 0, truncated: i === 1 } : NO_END;
    const [columns] = build({ count: 3, steps: 4, fragments: 1, script, version: () => 0 });
    expect(Array.from(columns!.offsets)).toEqual([0, 4, 8, 12]);
    expect(Array.from(columns!.terminated)).toEqual([1, 0, 0]);
    expect(Array.from(columns!.truncated)).toEqual([0, 1, 0]);
    expect(Array.from(columns!.stopReasons)).toEqual([
      StopReason.terminated,
      StopReason.truncated,
      StopReason.fragment,
    ]);
    expect(columns!.rowCounters["episodeLength"]).toEqual(Float32Array.of(4, 4, NaN));
  });

  it("counts an episode's return and length across the fragments it spans", () => {
    const script: Script = (_i, t) => ({ ...NO_END, reward: 2 ** (t % 4), terminated: t === 9 });
    const fragments = build({ count: 1, steps: 4, fragments: 3, script, version: () => 0 });
    expect(fragments.map((c) => Array.from(c.rowCounters["episodeLength"]!))).toEqual([
      [NaN],
      [NaN],
      [10, NaN],
    ]);
    // Twice 1 + 2 + 4 + 8, then 1 + 2.
    expect(fragments[2]!.rowCounters["episodeReturn"]![0]).toBe(33);
  });

  it("codes versions in as few runs as there are changes", () => {
    const same = build({ count: 3, steps: 4, fragments: 1, script: () => NO_END, version: () => 7 })[0]!;
    expect([same.versionRunLengths, same.versionRunValues]).toEqual([Uint32Array.of(12), Uint32Array.of(7)]);
    const swap = build({
      count: 2,
      steps: 4,
      fragments: 1,
      script: () => NO_END,
      version: (t) => (t < 3 ? 7 : 9),
    });
    expect(swap[0]!.versionRunLengths).toEqual(Uint32Array.of(3, 1, 3, 1));
    expect(swap[0]!.versionRunValues).toEqual(Uint32Array.of(7, 9, 7, 9));
  });

  it("marks every step as chosen by the policy", () => {
    const [columns] = build({ count: 2, steps: 3, fragments: 1, script: () => NO_END, version: () => 0 });
    expect(columns!.mask).toEqual(new Uint8Array(6).fill(1));
  });

  it("is not changed by what the environment and the policy do next", () => {
    const environment = new ScriptedEnvironment(1, (_i, t) => ({ ...NO_END, terminated: t === 0 }));
    const states = Float32Array.of(3, 4);
    const builder = new FragmentBuilder(environment, new EpisodeBook(1), 2, Uint32Array.of(1), states);
    states.fill(5);
    for (let t = 0; t < 2; t++) {
      builder.decide(Int32Array.of(0), Float32Array.of(-1), 0);
      environment.step(Int32Array.of(0));
      builder.outcome();
    }
    const columns = builder.finish();
    expect(columns.initialStates).toEqual(Float32Array.of(3, 4, 0, 0));
    const before = structuredClone(columns);
    environment.step(Int32Array.of(0));
    environment.observations.fill(99);
    environment.actionMasks!.fill(0);
    environment.postDecisionObservations!.fill(99);
    states.fill(99);
    environment.finalObservations.fill(99);
    environment.stepExtras["extra"]!.fill(99);
    environment.counters["counter"]!.fill(99);
    expect(columns).toEqual(before);
  });

  it.each([
    ["reward", (env: ScriptedEnvironment) => (env.rewards[1] = NaN)],
    ["reward", (env: ScriptedEnvironment) => (env.rewards[1] = 1e39)],
    ["observation", (env: ScriptedEnvironment) => (env.observations[3] = Infinity)],
    ["extra", (env: ScriptedEnvironment) => (env.stepExtras["extra"]![1] = NaN)],
  ])("refuses a %s that is not finite and says which instance it came from", (what, spoil) => {
    const environment = new ScriptedEnvironment(2, () => NO_END);
    const none = new Float32Array(0);
    const builder = new FragmentBuilder(environment, new EpisodeBook(2), 3, new Uint32Array(2), none);
    for (let t = 0; t < 3; t++) {
      builder.decide(new Int32Array(2), new Float32Array(2), 0);
      environment.step(new Int32Array(2));
      if (t === 1) spoil(environment);
      builder.outcome();
    }
    expect(() => builder.finish()).toThrow(
      `environment scripted: expected a finite ${what}, got NaN or infinity in instance 1`,
    );
  });

  it("refuses a step at which every action was forbidden and says which instance it came from", () => {
    const environment = new ScriptedEnvironment(2, () => NO_END);
    const none = new Float32Array(0);
    const builder = new FragmentBuilder(environment, new EpisodeBook(2), 3, new Uint32Array(2), none);
    for (let t = 0; t < 3; t++) {
      if (t === 1) environment.actionMasks!.fill(0, 3, 6);
      builder.decide(new Int32Array(2), new Float32Array(2), 0);
      environment.step(new Int32Array(2));
      builder.outcome();
    }
    expect(() => builder.finish()).toThrow(
      "environment scripted, instance 1: action mask forbids every action",
    );
  });
});

describe("an episode book", () => {
  it("numbers trajectories on from where it is told, so that two actors of a seat share none", () => {
    const first = new EpisodeBook(2);
    for (let k = 0; k < 10; k++) first.startNext(k % 2);
    const second = new EpisodeBook(2, 12);
    expect(Array.from(first.trajectoryIds)).toEqual([11, 12]);
    expect(Array.from(second.trajectoryIds)).toEqual([13, 14]);
    second.startNext(0);
    expect(Array.from(second.trajectoryIds)).toEqual([15, 14]);
  });
});
