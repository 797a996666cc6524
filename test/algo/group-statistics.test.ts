import { describe, expect, it } from "vitest";
import { groupStatistics, informativeShare, standardizeByGroup } from "../../core/algo/group-statistics.js";
import { Random } from "../../core/random.js";
import { F, PRINTED, expectClose, f, normals, shuffled } from "./fixture.js";

const GRPO = { singleton: "raw", eps: 1e-6 } as const;
const ONE_GROUP = Uint32Array.of(7, 7, 7, 7);

describe("group statistics", () => {
  it("gives GRPO's advantages of the catalogue", () => {
    expectClose(F.rowAdvantages, [0.866024, -0.866024, -0.866024, 0.866024], PRINTED);
    expectClose(
      standardizeByGroup(f(1, 0.2, 0, 0.6), ONE_GROUP, GRPO),
      [1.240213, -0.563733, -1.01472, 0.33824],
      PRINTED,
    );
  });

  it("counts the groups that a comparison learns from", () => {
    // Group 1 differs, group 2 does not, group 3 is a row alone.
    expect(informativeShare(f(0, 1, 2, 2, 5), Uint32Array.of(1, 1, 2, 2, 3))).toBeCloseTo(1 / 3);
    expect(informativeShare(f(4, 4), Uint32Array.of(1, 1))).toBe(0);
  });

  it("gives RLOO's advantages from mean and size, (r − mean)·G/(G−1)", () => {
    const values = f(1, 0.2, 0, 0.6);
    const { means, sizes } = groupStatistics(values, ONE_GROUP, "raw");
    const leaveOneOut = values.map((r, i) => ((r - means[i]!) * sizes[i]!) / (sizes[i]! - 1));
    expectClose(leaveOneOut, [0.733333, -0.333333, -0.6, 0.2], PRINTED);
  });

  it("agrees with filtering each group out and summing pairs", () => {
    const random = new Random(21);
    const values = normals(random, 60, 3, -2);
    const groups = Int32Array.from({ length: 60 }, () => random.integer(9) - 4);
    const { means, stds, sizes } = groupStatistics(values, groups, "zero");
    for (let i = 0; i < values.length; i++) {
      const members = Array.from(values).filter((_, j) => groups[j] === groups[i]);
      const n = members.length;
      let pairs = 0;
      for (const a of members) for (const b of members) pairs += (a - b) ** 2 / 2;
      expect(sizes[i]).toBe(n);
      expectClose([means[i]!], [members.reduce((s, v) => s + v, 0) / n], 1e-12);
      expectClose([stds[i]!], [n === 1 ? 1 : Math.sqrt(pairs / (n * (n - 1)))], 1e-10);
    }
  });

  it("treats a group of one by the rule asked for", () => {
    const values = f(0.7, 1, 0);
    const groups = Uint32Array.of(1, 2, 2);
    const raw = groupStatistics(values, groups, "raw");
    expect([raw.means[0], raw.stds[0]]).toEqual([0, 1]);
    expectClose(standardizeByGroup(values, groups, GRPO).subarray(0, 1), [0.7], PRINTED);
    const zero = groupStatistics(values, groups, "zero");
    expect([zero.means[0], zero.stds[0]]).toEqual([0.7, 1]);
    expect(standardizeByGroup(values, groups, { singleton: "zero", eps: 1e-6 })[0]).toBe(0);
    expect([raw.means[1], zero.means[1]]).toEqual([0.5, 0.5]);
  });

  it("gives a group of equals zero", () => {
    expectClose(standardizeByGroup(f(0.1, 0.1, 0.1, 0.1), ONE_GROUP, GRPO), [0, 0, 0, 0], 1e-9);
  });

  it("does not change with the order of rows, the labels of groups, a shift, or (up to eps) a scale", () => {
    const random = new Random(22);
    const values = normals(random, 40);
    const groups = Uint32Array.from({ length: 40 }, () => random.integer(6));
    const base = standardizeByGroup(values, groups, GRPO);

    const order = shuffled(random, 40);
    const permuted = standardizeByGroup(
      Float64Array.from(order, (i) => values[i]!),
      Uint32Array.from(order, (i) => groups[i]!),
      GRPO,
    );
    expectClose(
      permuted,
      Float64Array.from(order, (i) => base[i]!),
      1e-12,
    );

    const relabelled = groups.map((g) => 1_000_003 * (5 - g));
    expectClose(standardizeByGroup(values, relabelled, GRPO), base, 0);

    const sizes = groupStatistics(values, groups, "raw").sizes;
    expect(Math.min(...sizes)).toBeGreaterThan(1);
    expectClose(
      standardizeByGroup(
        values.map((v) => v + 17),
        groups,
        GRPO,
      ),
      base,
      1e-10,
    );
    expectClose(
      standardizeByGroup(
        values.map((v) => v * 8),
        groups,
        GRPO,
      ),
      base,
      1e-4,
    );
  });

  it("refuses keys of another length by name", () => {
    expect(() => groupStatistics(f(1, 2), ONE_GROUP, "raw")).toThrow(
      "groupStatistics: expected groups [2], got [4]",
    );
  });
});
