import { describe, expect, it } from "vitest";
import {
  chosenSteps,
  lastChosen,
  onlyFirstChosen,
  quantile,
  topIndices,
  topOfRows,
} from "../../core/algo/selection.js";
import { summedLogRatios } from "../../core/algo/ratio.js";
import { centredProducts, maskedMean } from "../../core/algo/statistics.js";
import { Random } from "../../core/random.js";
import { F, PRINTED, expectClose, expectNear, f, normals, raggedBatch } from "./fixture.js";

describe("the largest of many numbers", () => {
  it("are those that no other is larger than, whatever the order of the indices", () => {
    const random = new Random(91);
    for (let draw = 0; draw < 20; draw++) {
      const x = normals(random, 12);
      const indices = Uint32Array.of(7, 2, 9, 0, 5, 11);
      const top = topIndices(x, indices, 3);
      const others = indices.filter((t) => !top.includes(t));
      expect(Math.min(...Array.from(top, (t) => x[t]!))).toBeGreaterThan(
        Math.max(...Array.from(others, (t) => x[t]!)),
      );
    }
  });

  it("are the first of equals, and all where there are fewer", () => {
    expect([...topIndices(f(1, 3, 3, 3), Uint32Array.of(0, 3, 1, 2), 2)]).toEqual([3, 1]);
    expect([...topIndices(f(1, 3), Uint32Array.of(0, 1), 9)]).toEqual([1, 0]);
    expect([...topIndices(f(1, 3), Uint32Array.of(0, 1), 0)]).toEqual([]);
  });

  it("chosenSteps are the steps of mask 1 in a span", () => {
    const mask = Uint8Array.of(1, 0, 1, 1, 0, 1);
    expect([...chosenSteps(mask)]).toEqual([0, 2, 3, 5]);
    expect([...chosenSteps(mask, 1, 4)]).toEqual([2, 3]);
  });
});

describe("quantile", () => {
  it("is linear between ranks, as numpy's", () => {
    // numpy.quantile([1.5, 1.1, 1.9, .7], [0, .1, .5, 1]); the catalogue's band of SPINE
    expectClose(
      [0, 0.1, 0.5, 1].map((q) => quantile(f(1.5, 1.1, 1.9, 0.7), q)),
      [0.7, 0.82, 1.3, 1.9],
      1e-12,
    );
    expect(quantile(f(4), 0.3)).toBe(4);
    expect(() => quantile(f(), 0.5)).toThrow("quantile: expected at least one number, got none");
  });
});

describe("some of a row's steps", () => {
  /** Rows of three steps, of two that the policy did not choose, and of three. */
  const mask = Uint8Array.of(0, 1, 1, 0, 0, 1, 1, 0);
  const offsets = Uint32Array.of(0, 3, 5, 8);

  it("are the first and the last that the policy chose, where there is one", () => {
    expect([...onlyFirstChosen(mask, offsets)]).toEqual([0, 1, 0, 0, 0, 1, 0, 0]);
    expect([...lastChosen(mask, offsets)]).toEqual([2, -1, 6]);
  });

  it("are as many of the largest as the share says, rounded up", () => {
    const x = f(9, 1, 2, 9, 9, 4, 3, 9);
    expect([...topOfRows(x, mask, offsets, 0.5)]).toEqual([2, 5]);
    expect([...topOfRows(x, mask, offsets, 0.6)]).toEqual([2, 1, 5, 6]);
    expect([...topOfRows(x, mask, offsets, 0)]).toEqual([]);
  });
});

describe("sums over rows and steps", () => {
  it("gives the covariances of F", () => {
    const expected = [0.374122, -0.509222, 0.478045, 0.270199, -0.353338];
    expected.push(0.478045, -0.249415, 0.166277, 0.166277, 0.374122);
    expectClose(centredProducts(F.advantages, F.logprobs, F.mask), expected, PRINTED);
  });

  it("centredProducts have the covariance as their mean, over chosen steps alone", () => {
    const random = new Random(92);
    const { mask, steps } = raggedBatch(random, 9);
    const [x, y] = [normals(random, steps, 2, 3), normals(random, steps, 1, -4)];
    const both = x.map((value, t) => value * y[t]!);
    const covariance = maskedMean(both, mask) - maskedMean(x, mask) * maskedMean(y, mask);
    const products = centredProducts(x, y, mask);
    expectNear(maskedMean(products, mask), covariance, 1e-12);
    expect(products.every((p, t) => mask[t] === 1 || p === 0)).toBe(true);
  });

  it("summedLogRatios are the log-ratios of whole rows", () => {
    // F: .12 − .08 + .25, −.25 + .25, .01 + .46 − .38 − .02, .10
    expectClose(summedLogRatios(F.logprobs, F.refLogprobs, F.mask, F.offsets), [0.29, 0, 0.07, 0.1], 1e-12);
    const masked = F.mask.with(6, 0);
    expectNear(summedLogRatios(F.logprobs, F.refLogprobs, masked, F.offsets)[2]!, -0.39, 1e-12);
  });
});
