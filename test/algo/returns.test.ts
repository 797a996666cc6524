/** Returns of rows that nothing follows, sums of what came before, and what follows a row that was cut. */
import { describe, expect, it } from "vitest";
import { valuesAfterCuts } from "../../core/algo/gae.js";
import { discountedPast, returnsWithinRows } from "../../core/algo/returns.js";
import { f } from "./fixture.js";

/** Rows of three steps and of two; the second step of the first and the last of all were not chosen. */
const mask = Uint8Array.of(1, 0, 1, 1, 0);
const offsets = Uint32Array.of(0, 3, 5);

describe("returnsWithinRows", () => {
  it("is what a row still earns, and nothing after it", () => {
    // 1 + ½·4 = 3; a masked step shows what follows it.
    const rewards = f(1, 9, 4, 2, 9);
    expect([...returnsWithinRows({ rewards, mask, offsets }, 0.5)]).toEqual([3, 4, 4, 2, 0]);
  });

  it("refuses offsets of another length", () => {
    const input = { rewards: f(1), mask: Uint8Array.of(1), offsets };
    expect(() => returnsWithinRows(input, 1)).toThrow(/returnsWithinRows: expected offsets from 0 to 1/);
  });
});

describe("discountedPast", () => {
  it("sums what the row's chosen steps had so far", () => {
    // 4 + ½·1 = 4.5, the masked step taking no time.
    expect([...discountedPast(f(1, 9, 4, 2, 9), mask, offsets, 0.5)]).toEqual([1, 0, 4.5, 2, 0]);
  });
});

describe("valuesAfterCuts", () => {
  const values = f(10, 11, 12, 13, 14);
  const after = (terminated: number[], truncated: number[]): number[] => [
    ...valuesAfterCuts(
      { values, bootstrapValues: f(-1, -2), terminated: Uint8Array.from(terminated), mask, offsets },
      f(...truncated),
    ),
  ];

  it("is the value of the last chosen step only where a row was cut", () => {
    expect(after([0, 0], [0, 0])).toEqual([12, 13]);
    expect(after([1, 0], [0, 1])).toEqual([-1, -2]);
  });
});
