/** Rollouts, weights and small messages as bytes: exact there and back, and firm against what is no message. */
import { describe, expect, it } from "vitest";
import { SkeinError } from "../../core/errors.js";
import { decodeRollout, encodeRollout } from "../../core/transport/codec.js";
import type { WireColumn } from "../../core/transport/columns.js";
import * as messages from "../../core/transport/messages.js";
import { messageCodec } from "../../core/transport/schema.js";
import type { Rollout, RolloutColumns } from "../../core/types.js";
import { sampleRollout, sampleDelivery } from "./helpers.js";

interface LooseRollout {
  rolloutId: string;
  columns: WireColumn[];
  stepExtras: WireColumn[];
  rowCounters: WireColumn[];
}

const loose = messageCodec<LooseRollout>("Rollout");

/** An encoded sample rollout, damaged as a message rather than as bytes. */
function damaged(change: (rollout: LooseRollout) => void): Uint8Array {
  const rollout = loose.decode(encodeRollout(sampleRollout(1)));
  change(rollout);
  return loose.encode(rollout);
}

function changeColumn(name: string, change: Partial<WireColumn>): Uint8Array {
  return damaged((rollout) => {
    rollout.columns = rollout.columns.map((c) => (c.name === name ? { ...c, ...change } : c));
  });
}

const uint32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

function complaintOf(decode: () => unknown): string {
  try {
    decode();
  } catch (error) {
    if (error instanceof SkeinError && error.code === "MESSAGE_CORRUPT") return error.message;
    throw error;
  }
  throw new Error("decoded");
}

/** The bytes placed at every offset of a larger buffer, so that alignment differs. */
function shifted(bytes: Uint8Array, by: number): Uint8Array {
  const room = new Uint8Array(bytes.byteLength + 8);
  room.set(bytes, by);
  return room.subarray(by, by + bytes.byteLength);
}

describe("a rollout", () => {
  it.each([0, 1, 2, 3])("comes back exactly from bytes at alignment %i", (by) => {
    for (const rollout of [sampleRollout(1), sampleRollout(2, 9, false), sampleRollout(3, 0)]) {
      expect(decodeRollout(shifted(encodeRollout(rollout), by))).toStrictEqual(rollout);
    }
  });

  it("comes back exactly with no rows, and with rows of no steps", () => {
    const sample = sampleRollout(1, 0);
    const none = new Float32Array(0);
    const noRows: RolloutColumns = {
      ...sample.columns,
      offsets: Uint32Array.of(0),
      initialStates: none,
      finalObservations: none,
      terminated: new Uint8Array(0),
      truncated: new Uint8Array(0),
      stopReasons: new Uint8Array(0),
      trajectoryIds: new Uint32Array(0),
      seeds: new Uint32Array(0),
      versionRunLengths: new Uint32Array(0),
      versionRunValues: new Uint32Array(0),
      stepExtras: { value: none },
      rowCounters: {},
    };
    for (const rollout of [sample, { ...sample, columns: noRows }]) {
      expect(decodeRollout(encodeRollout(rollout))).toStrictEqual(rollout);
    }
  });

  it("keeps the very bits of NaN, infinity and minus zero", () => {
    const sample = sampleRollout(1);
    const rewards = new Float32Array(
      Uint32Array.of(0x7fc00001, 0xffc12345, 0x7f800000, 0x80000000, 1).buffer,
    );
    const rollout: Rollout = { ...sample, columns: { ...sample.columns, rewards } };
    const back = decodeRollout(encodeRollout(rollout)).columns.rewards;
    const bits = (array: Float32Array): Uint32Array => new Uint32Array(array.slice().buffer);
    expect(bits(back)).toEqual(bits(rewards));
  });

  it("keeps 32-bit words, names of any text and large group numbers", () => {
    const sample = sampleRollout(1);
    const rollout: Rollout = {
      ...sample,
      group: 2 ** 45,
      task: "",
      member: 0xffffffff,
      rolloutId: "ü/\u{1f9f6}/%20",
      columns: {
        ...sample.columns,
        seeds: Uint32Array.of(0xffffffff, 0),
        stepExtras: Object.fromEntries([["__proto__", Float32Array.of(1, 2, 3, 4, 5)]]),
      },
    };
    expect(decodeRollout(encodeRollout(rollout))).toStrictEqual(rollout);
  });

  it("may leave out what not every environment or network has, and has none then", () => {
    const bytes = damaged((rollout) => {
      rollout.columns = rollout.columns.filter(
        ({ name }) =>
          !["actionMasks", "anchorIndices", "anchorTexts", "postObservations", "initialStates"].includes(
            name,
          ),
      );
    });
    const none = { actionMaskWidth: 0, stateWidth: 0 };
    expect(decodeRollout(bytes).columns).toStrictEqual({
      ...{ ...sampleRollout(1).columns, ...none },
      ...{ actionMasks: new Uint8Array(0), initialStates: new Float32Array(0) },
      ...{ anchorIndices: new Uint32Array(0), anchorTexts: new Uint8Array(0) },
      postObservations: new Float32Array(0),
    });
  });

  it("copies nothing where the bytes are aligned", () => {
    const rollout = { ...sampleRollout(1), rolloutId: "" };
    const aligned = [0, 1, 2, 3].map((by) => {
      const bytes = shifted(encodeRollout(rollout), by);
      return decodeRollout(bytes).columns.observations.buffer === bytes.buffer;
    });
    expect(aligned.filter(Boolean)).toHaveLength(1);
  });

  it("is refused before encoding where its columns contradict one another", () => {
    const sample = sampleRollout(1);
    const wrong: [Partial<RolloutColumns>, string][] = [
      [{ offsets: new Uint32Array(0) }, "expected offsets [rows + 1], got []"],
      [{ observations: new Float32Array(14) }, "expected observations [15], got [14]"],
      [{ actionWidth: 2 }, "expected actions [10], got [5]"],
      [{ actionMaskWidth: 3 }, "expected actionMasks [15], got [20]"],
      [{ actionMasks: new Uint8Array(20).fill(2) }, "expected action masks of 0 and 1, got 2"],
      [{ postObservations: new Float32Array(5) }, "expected postObservations [15], got [5]"],
      [{ anchorIndices: new Uint32Array(4) }, "expected anchorIndices [5], got [4]"],
      [
        { anchorIndices: new Uint32Array(0) },
        "expected no anchor texts without anchor indices, got 12 bytes",
      ],
      [{ initialStates: new Float32Array(0) }, "expected initialStates [4], got [0]"],
      [{ stepExtras: { value: new Float32Array(2) } }, "expected value [5], got [2]"],
      [{ rowCounters: { toolCalls: new Float32Array(5) } }, "expected toolCalls [2], got [5]"],
    ];
    for (const [change, complaint] of wrong) {
      const rollout = { ...sample, columns: { ...sample.columns, ...change } };
      expect(() => encodeRollout(rollout)).toThrow(`rollout run-1/seat-3/1/0/1: ${complaint}`);
    }
  });
});

describe("a corrupt rollout", () => {
  const cases: [what: string, bytes: Uint8Array, complaint: RegExp][] = [
    [
      "offsets that do not end at the steps",
      changeColumn("offsets", { data: uint32(0, 2, 4) }),
      /last offset.* 5 .*got 4/,
    ],
    ["offsets that fall", changeColumn("offsets", { data: uint32(0, 7, 5) }), /never to fall, got 5 after 7/],
    [
      "offsets that do not start at 0",
      changeColumn("offsets", { data: uint32(1, 2, 5) }),
      /start at 0, got 1/,
    ],
    ["no offsets at all", changeColumn("offsets", { data: uint32() }), /offsets \[rows \+ 1\], got \[\]/],
    [
      "a width that does not fit the length",
      changeColumn("observations", { width: 4 }),
      /width 4, got 3|\[20\], got \[15\]/,
    ],
    ["two observation widths", changeColumn("finalObservations", { width: 2 }), /expected width 3, got 2/],
    [
      "post-decision states of another width",
      changeColumn("postObservations", { width: 1 }),
      /"postObservations": expected width 3, got 1/,
    ],
    [
      "action masks of another width than their length",
      changeColumn("actionMasks", { width: 5 }),
      /actionMasks \[25\], got \[20\]/,
    ],
    [
      "action masks that are neither 0 nor 1",
      changeColumn("actionMasks", { data: new Uint8Array(20).fill(7) }),
      /masks of 0 and 1, got 7/,
    ],
    [
      "memory of another width than its length",
      changeColumn("initialStates", { width: 3 }),
      /initialStates \[6\], got \[4\]/,
    ],
    [
      "memory that is no column of real numbers",
      changeColumn("initialStates", { dtype: "DTYPE_INT32" }),
      /"initialStates": expected Float32Array, got DTYPE_INT32/,
    ],
    [
      "version runs that miss a step",
      changeColumn("versionRunLengths", { data: uint32(2, 2) }),
      /runs over 5 steps, got 4/,
    ],
    [
      "a run without its version",
      changeColumn("versionRunValues", { data: uint32(2) }),
      /versionRunValues \[2\], got \[1\]/,
    ],
    ["an unknown dtype", changeColumn("rewards", { dtype: 77 }), /known dtype, got 77/],
    ["no dtype", changeColumn("rewards", { dtype: 0 }), /known dtype, got DTYPE_UNSPECIFIED/],
    [
      "the wrong dtype",
      changeColumn("rewards", { dtype: "DTYPE_INT32" }),
      /"rewards": expected Float32Array, got DTYPE_INT32/,
    ],
    ["half an element", changeColumn("rewards", { data: new Uint8Array(19) }), /multiple of 4 bytes, got 19/],
    ["an unknown stop reason", changeColumn("stopReasons", { data: Uint8Array.of(0, 4) }), /0 to 3, got 4/],
    ["a column without its name", changeColumn("mask", { name: "" }), /a column "mask", got none/],
    [
      "a column too many",
      damaged((r) => r.columns.push({ ...r.columns[0]!, name: "x" })),
      /no other columns, got "x"/,
    ],
    [
      "a column twice",
      damaged((r) => r.columns.push(r.columns[0]!)),
      /each column once, got "offsets" twice/,
    ],
    [
      "an extra of the wrong length",
      damaged((r) => (r.stepExtras = r.rowCounters)),
      /expected \S+ \[5\], got \[2\]/,
    ],
    ["nothing", new Uint8Array(0), /a column "observations", got none/],
    ["rubbish", Buffer.from("neither here nor there"), /do not parse|expected/],
  ];

  it.each(cases)("with %s is told apart", (_, bytes, complaint) => {
    expect(complaintOf(() => decodeRollout(bytes))).toMatch(complaint);
  });
});

describe("manifests", () => {
  it("come back exactly, full or of a delta", () => {
    const { manifest } = sampleDelivery(2 ** 33);
    for (const sent of [manifest, { ...manifest, parent: 0 }, { ...manifest, tensors: [] }]) {
      expect(messages.weightsManifest.decode(messages.weightsManifest.encode(sent))).toStrictEqual(sent);
    }
  });

  it("with tensors of another type are corrupt", () => {
    const codec = messageCodec<{ tensors: object[] }>("WeightsManifest");
    const complaint = (dtype: string | number): string =>
      complaintOf(() => messages.weightsManifest.decode(codec.encode({ tensors: [{ dtype }] })));
    expect(complaint("DTYPE_UINT8")).toBe("dtype: expected float32 or int32, got DTYPE_UINT8");
    expect(complaint(99)).toBe("dtype: expected float32 or int32, got 99");
  });
});

describe("small messages", () => {
  it("with an unknown enum value are corrupt", () => {
    const codec = messageCodec<{ phase: number }>("HeartbeatReply");
    expect(complaintOf(() => messages.heartbeatReply.decode(codec.encode({ phase: 9 })))).toBe(
      "phase: expected waiting or running or finished, got 9",
    );
    expect(complaintOf(() => messages.heartbeatReply.decode(new Uint8Array(0)))).toMatch(
      /got PHASE_UNSPECIFIED/,
    );
  });

  it("with branches that cannot be played are corrupt", () => {
    const codec = messageCodec<{ phase: string; requests: object[] }>("AcquireReply");
    const limits = { maxSteps: 1, deadlineSeconds: 1 };
    const complaint = (branches: object): string =>
      complaintOf(() =>
        messages.acquireReply.decode(
          codec.encode({ phase: "PHASE_RUNNING", requests: [{ limits, start: "START_RESET", branches }] }),
        ),
      );
    expect(complaint({ states: 1, count: 0 })).toBe(
      "RolloutRequest, branches: expected at least one branch from each state, got 0",
    );
    expect(complaint({ at: [5, 2], states: 2, count: 1 })).toBe(
      "RolloutRequest, branches: expected the steps to branch at in rising order, got 5, 2",
    );
  });

  it("with whole numbers that a number does not hold are corrupt, wherever they stand", () => {
    const huge = 2 ** 60;
    const beyond = (name: string, message: object): string =>
      complaintOf(() => messageCodec(name).decode(messageCodec(name).encode(message)));
    expect(beyond("RegisterRequest", { policyVersion: huge })).toBe(
      `RegisterRequest: expected a skein.v1.RegisterRequest, got a whole number beyond 2^53 (policyVersion: ${huge})`,
    );
    const count = { rollouts: huge, steps: 1 };
    expect(beyond("ReportRequest", { outcomes: [{ steps: 1 }, { version: -huge }] })).toContain(
      "outcomes: version: -",
    );
    expect(beyond("StatusReply", { books: { trained: count } })).toContain("books: trained: rollouts: ");
    expect(beyond("StatusReply", { books: { failed: { refused: count } } })).toContain(
      "books: failed: value: rollouts",
    );
    const most = messageCodec<{ policyVersion: number }>("RegisterRequest");
    expect(most.decode(most.encode({ policyVersion: 2 ** 53 - 1 })).policyVersion).toBe(2 ** 53 - 1);
  });
});
