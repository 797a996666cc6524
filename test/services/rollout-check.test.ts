import { describe, expect, it } from "vitest";
import { joinAnchorTexts } from "../../core/anchor-texts.js";
import { box, discrete, multiDiscrete } from "../../core/env/spaces.js";
import { Random } from "../../core/random.js";
import { StopReason, type Rollout, type RolloutColumns } from "../../core/types.js";
import { allFinite, RolloutCheck, type RolloutRules } from "../../services/learner/rollout-check.js";
import { smallRollout, type SmallRollout } from "./fixture.js";
import { RULES } from "./learner-fixture.js";

const withColumns = (changes: Partial<RolloutColumns>, shape: SmallRollout = {}): Rollout => {
  const rollout = smallRollout(shape);
  return { ...rollout, columns: { ...rollout.columns, ...changes } };
};

const complaintOf = (rollout: Rollout, rules: Partial<RolloutRules> = {}, version = 0): string | null => {
  const check = new RolloutCheck({ ...RULES, ...rules });
  const complaint = check.identity(rollout) ?? check.content(rollout, version);
  return complaint === null ? null : `${complaint.reason}: ${complaint.text}`;
};

const SPEC = RULES.spec;

describe("finiteness of a whole column", () => {
  it("is found out as a loop over its numbers finds it, at every length and place", () => {
    const random = new Random(1);
    const odd = [Number.NaN, Infinity, -Infinity, 3.4e38, -3.4e38, 1e-45, -0];
    for (let length = 0; length < 40; length++) {
      for (let k = -1; k < length; k++) {
        const values = Float32Array.from({ length }, () => random.normal() * 1e30);
        if (k >= 0) values[k] = odd[random.integer(odd.length)]!;
        expect(allFinite(values)).toBe(values.every((value) => Number.isFinite(value)));
      }
    }
  });

  it("is not lost where infinities of both signs meet", () => {
    expect(allFinite(Float32Array.of(Infinity, -Infinity, 1, 2, Infinity))).toBe(false);
  });
});

describe("a rollout", () => {
  it("is taken as it should be", () => {
    expect(complaintOf(smallRollout())).toBeNull();
    expect(complaintOf(smallRollout({ task: "task-9", member: 3 }), { groupSize: 4 })).toBeNull();
  });

  it.each([
    ["key: expected the id run/seat-0/1/0/1, got made/up", { ...smallRollout(), rolloutId: "made/up" }, {}],
    [/^key: expected task seat-0, .* got task seat-1,/, smallRollout({ task: "seat-1" }), {}],
    [/^key: expected .* a member below 1 /, smallRollout({ member: 1 }), {}],
    [/^key: expected .* a member below 4 /, smallRollout({ task: "task-1", member: 4 }), { groupSize: 4 }],
    [/^key: expected .* an attempt of at least 1, /, smallRollout({ attempt: 0 }), {}],
    [/^run: expected rollouts of run run, got one of run other/, smallRollout({ runId: "other" }), {}],
  ])("is refused where its ids do not fit: %s", (message, rollout, rules) => {
    expect(complaintOf(rollout, rules)).toMatch(message);
  });

  it.each([
    [
      /^shape: expected observationWidth 2, .* got observationWidth 1,/,
      { spec: { ...SPEC, observationSpace: box([2], 0, 1) } },
    ],
    [/^shape: expected .* stateWidth 3, got .* stateWidth 0/, { stateWidth: 3 }],
    [
      /^shape: expected .* actionMaskWidth 2, .* got .* actionMaskWidth 0/,
      { spec: { ...SPEC, actionMasks: true } },
    ],
    [/^shape: expected float32 actions, got Int32Array/, { spec: { ...SPEC, actionSpace: box([1], 0, 1) } }],
  ])("of another environment or network is refused: %s", (message, rules) => {
    expect(complaintOf(smallRollout(), rules)).toMatch(message);
  });

  it.each([
    [
      "no step",
      withColumns({ behaviorLogprobs: new Float32Array(0) }),
      "shape: expected at least one step, got none",
    ],
    [
      "an empty row",
      withColumns({ offsets: Uint32Array.of(0, 0, 4) }),
      "shape: expected rows of at least one step, got none in row 0",
    ],
    [
      "a mask of 2",
      withColumns({ mask: Uint8Array.of(1, 2, 0, 1) }),
      "shape: expected a mask of 0 and 1, got 2",
    ],
    [
      "an end that is also a cut",
      withColumns({
        ...{ terminated: Uint8Array.of(1), truncated: Uint8Array.of(1) },
        stopReasons: Uint8Array.of(StopReason.terminated),
      }),
      "shape: expected flags that agree with the stop reason, got terminated 1, truncated 1 with 1",
    ],
    [
      "an unknown stop reason",
      withColumns({ stopReasons: Uint8Array.of(9) }),
      "shape: expected flags that agree with the stop reason, got terminated 0, truncated 0 with 9",
    ],
    [
      "an action that there is not",
      withColumns({ actions: Int32Array.of(0, 1, 2, 0) }),
      "range: expected actions below 2, got 2",
    ],
    [
      "a negative action",
      withColumns({ actions: Int32Array.of(0, -1, 0, 0) }),
      "range: expected actions below 2, got -1",
    ],
  ])("with %s is refused", (_, rollout, message) => {
    expect(complaintOf(rollout)).toBe(message);
  });

  it("names the states of its steps where the environment does, by numbers of its own texts", () => {
    const spec = { ...SPEC, anchorKeys: true };
    const named = (indices: number[], texts: Uint8Array): Rollout =>
      withColumns({ anchorIndices: Uint32Array.from(indices), anchorTexts: texts });
    const two = joinAnchorTexts(["here", "there"]);
    expect(complaintOf(named([0, 1, 1, 0], two), { spec })).toBeNull();
    expect(complaintOf(named([0, 0, 0, 0], joinAnchorTexts([""])), { spec })).toBeNull();
    const wrong: [Rollout, object, string][] = [
      [named([0, 2, 1, 0], two), { spec }, "range: expected anchor indices below 2, got 2"],
      [smallRollout(), { spec }, "shape: expected anchorIndices [4], got [0]"],
      [named([0, 1, 1, 0], two), {}, "shape: expected anchorIndices [0], got [4]"],
      [
        named([0, 0, 0, 0], Uint8Array.of(0xff)),
        { spec },
        "shape: expected anchor texts in UTF-8, got other bytes",
      ],
    ];
    for (const [rollout, rules, complaint] of wrong) expect(complaintOf(rollout, rules)).toBe(complaint);
  });

  it("says what the deterministic part of its steps leads to where the environment does", () => {
    const spec = { ...SPEC, observationSpace: discrete(9), postDecisionStates: true };
    const led = (...states: number[]): Rollout =>
      withColumns({ postObservations: Float32Array.from(states) });
    expect(complaintOf(led(0, 8, 3, 1), { spec })).toBeNull();
    expect(complaintOf(smallRollout(), { spec })).toBe("shape: expected postObservations [4], got [0]");
    expect(complaintOf(led(0, 8, 3, 1))).toBe("shape: expected postObservations [0], got [4]");
    expect(complaintOf(led(0, 9, 3, 1), { spec })).toBe("range: expected observations below 9, got 9");
    expect(complaintOf(led(0, NaN, 3, 1), { spec })).toBe(
      "notFinite: expected finite postObservations, got NaN or infinity",
    );
  });

  it("has the numbers that its environment gives", () => {
    const numbers = withColumns({
      ...{ stepExtras: { way: new Float32Array(4) }, rowCounters: { ups: Float32Array.of(NaN) } },
    });
    const spec = { ...SPEC, stepExtras: ["way"], counters: ["ups"] };
    expect(complaintOf(numbers, { spec })).toBeNull();
    expect(complaintOf(numbers, { spec: { ...spec, stepExtras: ["way", "speed"] } })).toBe(
      "shape: expected the step extra speed, got none",
    );
    expect(complaintOf(numbers, { spec: { ...spec, counters: ["downs"] } })).toBe(
      "shape: expected the row counter downs, got none",
    );
  });

  it("is refused with one number that is not finite, in whichever column", () => {
    const columns = {
      ...{ stateWidth: 1, initialStates: Float32Array.of(0) },
      stepExtras: { value: new Float32Array(4) },
    };
    const whole = withColumns(columns);
    const rules = { stateWidth: 1 };
    expect(complaintOf(whole, rules)).toBeNull();
    const names = [
      "observations",
      "finalObservations",
      "initialStates",
      "rewards",
      "behaviorLogprobs",
    ] as const;
    for (const bad of [Number.NaN, Infinity, -Infinity]) {
      for (const name of names) {
        const column = whole.columns[name].slice();
        column[column.length - 1] = bad;
        const rollout = withColumns({ ...columns, [name]: column });
        expect(complaintOf(rollout, rules)).toBe(`notFinite: expected finite ${name}, got NaN or infinity`);
      }
      const extra = withColumns({ ...columns, stepExtras: { value: Float32Array.of(0, bad, 0, 0) } });
      expect(complaintOf(extra, rules)).toBe("notFinite: expected finite value, got NaN or infinity");
      const boxed = withColumns({ actions: Float32Array.of(0, 0, bad, 0) });
      const spec = { ...SPEC, actionSpace: box([1], -1, 1) };
      expect(complaintOf(boxed, { spec })).toBe("notFinite: expected finite actions, got NaN or infinity");
    }
  });

  it("may have counters that are NaN, and none that are infinite", () => {
    expect(
      complaintOf(withColumns({ rowCounters: { episodeReturn: Float32Array.of(Number.NaN) } })),
    ).toBeNull();
    expect(complaintOf(withColumns({ rowCounters: { episodeReturn: Float32Array.of(-Infinity) } }))).toBe(
      "notFinite: expected finite episodeReturn, got NaN or infinity",
    );
  });

  it("says of integers what lies outside, part by part", () => {
    const spec = { ...SPEC, observationSpace: multiDiscrete([3, 2]), actionSpace: discrete(2) };
    const at = (...observations: number[]): Rollout =>
      withColumns({
        ...{ observationWidth: 2, finalObservations: new Float32Array(2) },
        observations: Float32Array.of(...observations, 0, 0, 0, 0, 0, 0),
      });
    expect(complaintOf(at(2, 1), { spec })).toBeNull();
    expect(complaintOf(at(3, 1), { spec })).toBe("range: expected observations below 3, 2, got 3");
    expect(complaintOf(at(2, 2), { spec })).toBe("range: expected observations below 3, 2, got 2");
    expect(complaintOf(at(0.5, 0), { spec })).toBe("range: expected observations below 3, 2, got 0.5");
  });

  it("is refused where an action was not allowed by its mask", () => {
    const spec = { ...SPEC, actionSpace: multiDiscrete([2, 3]), actionMasks: true };
    const masked = (...actions: number[]): Rollout =>
      withColumns(
        {
          ...{ actionWidth: 2, actions: Int32Array.of(...actions), actionMaskWidth: 5 },
          actionMasks: Uint8Array.of(1, 0, 0, 1, 1, 0, 1, 1, 0, 0),
        },
        { steps: 2 },
      );
    expect(complaintOf(masked(0, 1, 1, 0), { spec })).toBeNull();
    expect(complaintOf(masked(1, 1, 1, 0), { spec })).toBe(
      "range: expected actions that their mask allows, got 1",
    );
    expect(complaintOf(masked(0, 1, 1, 2), { spec })).toBe(
      "range: expected actions that their mask allows, got 2",
    );
  });

  it("may have versions up to the learner's", () => {
    expect(complaintOf(smallRollout({ versions: [3, 4] }), {}, 4)).toBeNull();
    expect(complaintOf(smallRollout({ versions: [3, 5] }), {}, 4)).toMatch(
      /^version: expected .* up to 4, .* got 5$/,
    );
  });
});
