import { describe, expect, it } from "vitest";
import { answersOf } from "../../core/recipes/parts/answers.js";
import { withColumns } from "../../core/slots/batch.js";
import { fixtureBatch } from "./catalogue-fixture.js";

describe("answers", () => {
  it("are the counter where there is one, and no answer is like no other", () => {
    const answer = Float64Array.of(7, NaN, 7, NaN);
    expect([...answersOf(withColumns(fixtureBatch(), { row: { answer } }))]).toEqual([0, 1, 0, 2]);
  });

  it("are what rows end with where there is none", () => {
    const finalObservations = Float32Array.of(1, 2, 2, 1, 1, 2, 1, 2.5);
    expect([...answersOf({ ...fixtureBatch(), finalObservations })]).toEqual([0, 1, 0, 2]);
  });
});
