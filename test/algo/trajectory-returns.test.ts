import { describe, expect, it } from "vitest";
import { discountedReturns, trajectoryReturns } from "../../core/algo/returns.js";
import { Random } from "../../core/random.js";
import { expectClose, f, normals } from "./fixture.js";

/** Trajectory 7 in three rows of 2, 1 and 3 steps, its second one first, and trajectory 8 in one row that goes on. */
const random = new Random(3);
const CUT = {
  rewards: normals(random, 8),
  bootstrapValues: f(9, 9, 9, 9),
  terminated: Uint8Array.of(0, 0, 0, 1),
  truncated: f(0, 0, 0, 0),
  mask: Uint8Array.of(1, 1, 1, 1, 0, 1, 1, 1),
  offsets: Uint32Array.of(0, 1, 3, 5, 8),
  trajectories: f(7, 7, 8, 7),
  parts: f(5, 4, 4, 6),
};
/** The steps of trajectory 7 in the order in which they were taken. */
const IN_ORDER = [1, 2, 0, 5, 6, 7];

describe("returns of trajectories that are cut into rows", () => {
  it("are those of the trajectory in one row", () => {
    const { returns, finished } = trajectoryReturns(CUT, 0.9);
    const whole = discountedReturns(
      {
        rewards: Float64Array.from(IN_ORDER, (t) => CUT.rewards[t]!),
        ...{ bootstrapValues: f(9), terminated: Uint8Array.of(1) },
        ...{ mask: new Uint8Array(6).fill(1), offsets: Uint32Array.of(0, 6) },
      },
      0.9,
    );
    expectClose(
      IN_ORDER.map((t) => returns[t]!),
      whole,
      1e-12,
    );
    expect([...finished]).toEqual([1, 1, 1, 0, 0, 1, 1, 1]);
  });

  it("bootstrap where a time limit cut the trajectory, and nowhere else", () => {
    const limited = { ...CUT, terminated: new Uint8Array(4), truncated: f(0, 0, 0, 1) };
    const { returns } = trajectoryReturns(limited, 0.9);
    const { returns: ended } = trajectoryReturns(CUT, 0.9);
    IN_ORDER.forEach((t, k) => expect(returns[t]! - ended[t]!).toBeCloseTo(9 * 0.9 ** (6 - k), 10));
  });

  it("are not there before a row that is missing, nor where nothing ended", () => {
    const { finished } = trajectoryReturns({ ...CUT, parts: f(5, 4, 4, 7) }, 0.9);
    expect([...finished]).toEqual([0, 0, 0, 0, 0, 1, 1, 1]);
    const none = trajectoryReturns({ ...CUT, terminated: new Uint8Array(4) }, 0.9);
    expect(none.finished.every((x) => x === 0)).toBe(true);
  });

  it("refuses columns of another length, naming them", () => {
    expect(() => trajectoryReturns({ ...CUT, parts: f(1) }, 1)).toThrow(/expected parts/);
  });
});
