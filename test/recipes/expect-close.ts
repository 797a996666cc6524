import { expect } from "vitest";

/** Half a unit in the sixth digit, and what float32 log-probabilities add to it. */
export const CLOSE = 1.5e-6;

export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, within = CLOSE): void {
  expect(actual).toHaveLength(expected.length);
  Array.from(expected).forEach((x, i) => {
    expect(Math.abs(actual[i]! - x), `at ${i}: ${actual[i]}, not ${x}`).toBeLessThan(within);
  });
}
