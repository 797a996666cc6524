import { describe, expect, it } from "vitest";
import {
  formatCount,
  formatDuration,
  formatEta,
  formatPercent,
  formatRate,
  formatValue,
} from "../../cli/view/format.js";

describe("numbers for people", () => {
  it("group counts in thousands", () => {
    expect([0, 999, 143_360, 2_000_000].map(formatCount)).toEqual(["0", "999", "143,360", "2,000,000"]);
    expect(formatCount(-0.2)).toBe("0");
  });

  it("give values about four digits at any size", () => {
    expect([476.24, 47.624, 4.7624, 0.73449, 0, 12_345.6].map(formatValue)).toEqual([
      "476.2",
      "47.62",
      "4.762",
      "0.734",
      "0",
      "12,346",
    ]);
    expect(formatValue(-0.0123)).toBe("−0.012");
    expect(formatValue(0.000082)).toBe("8.2e−5");
  });

  it("show rates without false precision", () => {
    expect([6702.4, 26.24, 0.714].map(formatRate)).toEqual(["6,702", "26.2", "0.71"]);
  });

  it("reach 100 % only when all is done", () => {
    expect([0, 0.716, 0.9999, 1].map(formatPercent)).toEqual(["0 %", "71 %", "99 %", "100 %"]);
    expect(formatPercent(0.29)).toBe("29 %");
  });

  it("measure durations in the two units that matter", () => {
    expect([0.04, 21.4, 59.94, 59.96, 200, 3599.7, 7500, 273_700].map(formatDuration)).toEqual([
      "0.0 s",
      "21.4 s",
      "59.9 s",
      "1 min 00 s",
      "3 min 20 s",
      "1 h 00 min",
      "2 h 05 min",
      "3 d 04 h",
    ]);
  });

  it("round times to come up to whole seconds", () => {
    expect([0, 7.2, 59.2, 200].map(formatEta)).toEqual(["0 s", "8 s", "1 min 00 s", "3 min 20 s"]);
  });

  it("show a dash for what is not known", () => {
    for (const format of [formatCount, formatValue, formatRate, formatPercent, formatDuration, formatEta]) {
      expect(format(Number.NaN)).toBe("–");
      expect(format(Number.POSITIVE_INFINITY)).toBe("–");
    }
  });
});
