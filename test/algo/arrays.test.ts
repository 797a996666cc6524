import { describe, expect, it } from "vitest";
import { chosenPerRow, expectOffsets, gather, numberBy, spreadRows } from "../../core/algo/arrays.js";
import { SkeinError } from "../../core/errors.js";
import { F, f, perToken } from "./fixture.js";

describe("ragged rows", () => {
  it("count the chosen steps of each row and spread row values over steps", () => {
    expect(Array.from(chosenPerRow(F.mask, F.offsets))).toEqual([3, 2, 4, 1]);
    const mask = Uint8Array.of(1, 0, 1, 0);
    expect(Array.from(chosenPerRow(mask, Uint32Array.of(0, 3, 3, 4)))).toEqual([2, 0, 0]);
    expect(spreadRows(f(1, 2, 3, 4), F.offsets)).toEqual(perToken([1, 2, 3, 4]));
  });

  it("refuse offsets that do not cover the steps once, in order", () => {
    const refused = [
      Uint32Array.of(),
      Uint32Array.of(1, 3),
      Uint32Array.of(0, 2),
      Uint32Array.of(0, 4, 2, 3),
    ];
    for (const offsets of refused) {
      expect(() => expectOffsets("here", offsets, 3)).toThrow(SkeinError);
      expect(() => expectOffsets("here", offsets, 3)).toThrow(/^here: expected /);
    }
    expect(() => expectOffsets("here", Uint32Array.of(0, 0, 3), 3)).not.toThrow();
    expect(() => expectOffsets("here", Uint32Array.of(0), 0)).not.toThrow();
  });

  it("refuse row values that are not one a row", () => {
    expect(() => spreadRows(f(1), F.offsets)).toThrow("spreadRows: expected rowValues [4], got [1]");
  });
});

describe("indices and keys", () => {
  it("gather numbers, and number keys by when they first come", () => {
    expect([...gather(f(5, 6, 7), [2, 0, 2])]).toEqual([7, 5, 7]);
    const keys = ["b", "a", "b", "c"];
    expect([...numberBy(4, (i) => keys[i]!)]).toEqual([0, 1, 0, 2]);
  });
});
