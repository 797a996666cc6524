/** Scores as success in [0, 1], for methods that need to know what failure and success are. */
import { z } from "zod";
import { clamp } from "../../algo/ratio.js";
import { SkeinError } from "../../errors.js";
import { expectParams, share } from "./params.js";

export const scoreRange = {
  minScore: z.number().default(0).describe("Score of a row that fails; no score may be lower"),
  maxScore: z.number().default(1).describe("Score of a row that succeeds; no score may be higher"),
};

/** On the scale of `successOf`. */
export const successFrom = share
  .default(0.5)
  .describe("Share of the way from minScore to maxScore from which on a row counts as one that succeeds");

export type ScoreRange = Readonly<Record<keyof typeof scoreRange, number>>;

/** Of the range: how far float32 rewards may be summed to beyond it. */
const SLACK = 1e-6;

/**
 * scores [R] → (score − minScore)/(maxScore − minScore), [R]. Throws CONFIG_INVALID where the range is empty, and later
 * RECIPE_INVALID for a score that lies outside it.
 */
export function successOf(
  id: string,
  { minScore, maxScore }: ScoreRange,
): (scores: Float64Array) => Float64Array {
  const range = maxScore - minScore;
  expectParams(id, range > 0, `recipe.params.maxScore above minScore, got ${maxScore} and ${minScore}`);
  return (scores) =>
    scores.map((score) => {
      const success = (score - minScore) / range;
      if (success >= -SLACK && success <= 1 + SLACK) return clamp(success, 0, 1);
      throw new SkeinError(
        "RECIPE_INVALID",
        `recipe ${id} needs scores from ${minScore} (failure) to ${maxScore} (success), got ${score}: set ` +
          "recipe.params.minScore and recipe.params.maxScore to the lowest and highest return of the environment",
      );
    });
}
