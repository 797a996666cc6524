/** Derives that give every step its advantage: by a critic, or by the group that its row belongs to. */
import { spreadRows } from "../../algo/arrays.js";
import { gae } from "../../algo/gae.js";
import { discountedReturns, type ReturnsInput } from "../../algo/returns.js";
import { groupStatistics, standardizeByGroup, type SingletonRule } from "../../algo/group-statistics.js";
import { standardize, whiten } from "../../algo/statistics.js";
import { rowColumn, stepColumn, type Batch } from "../../slots/batch.js";
import type { CriticParams } from "./params.js";
import type { Derive, DeriveContext, Recipe } from "../../slots/recipe.js";
import { returnScaleTracker, scaleRewards } from "./return-scale.js";

/** The batch's rewards, and what follows each row. */
export function returnsInput(batch: Batch): ReturnsInput {
  const { terminated, mask, offsets } = batch;
  const bootstrapValues = rowColumn(batch, "bootstrapValues");
  return { rewards: stepColumn(batch, "rewards"), bootstrapValues, terminated, mask, offsets };
}

/** GAE with the values of the weights that seal the batch; `returns` = advantages + values. */
export function generalizedAdvantages({ gamma, lambda }: Pick<CriticParams, "gamma" | "lambda">): Derive {
  return {
    id: "gae",
    when: "seal",
    needs: ["rewards", "values"],
    writes: ["advantages", "returns"],
    run: (batch) => {
      const input = { ...returnsInput(batch), values: stepColumn(batch, "values") };
      const { advantages, returns } = gae(input, { gamma, lambda });
      return { step: { advantages, returns } };
    },
  };
}

/** `returns`: discounted rewards to come, with the value of the observation after the row where it did not terminate. */
export function rewardToGo(gamma: number): Derive {
  return {
    ...{ id: "rewardToGo", when: "seal", needs: ["rewards"], writes: ["returns"] },
    run: (batch) => ({ step: { returns: discountedReturns(returnsInput(batch), gamma) } }),
  };
}

const normalizeAdvantages: Derive = {
  id: "normalizeAdvantages",
  when: "step",
  needs: ["advantages"],
  writes: ["advantages"],
  run: (batch) => ({ step: { advantages: standardize(stepColumn(batch, "advantages"), batch.mask) } }),
};

const RETURN_SCALE = "returnScale";

/** GAE, of scaled rewards and normalised in each minibatch where that is asked for; a recipe of it has `criticTrackers`. */
export function criticAdvantages(p: CriticParams): Derive[] {
  return [
    ...(p.scaleRewards ? [scaleRewards(RETURN_SCALE)] : []),
    generalizedAdvantages(p),
    ...(p.normalizeAdvantages ? [normalizeAdvantages] : []),
  ];
}

/** What `criticAdvantages` reads. */
export function criticTrackers({ scaleRewards: scales, gamma }: CriticParams): Recipe["trackers"] {
  return scales ? { [RETURN_SCALE]: returnScaleTracker(gamma) } : {};
}

/** (A − mean)/std over all chosen steps of the batch, ε inside the root (REINFORCE++, Hu 2025). */
export const whitenAdvantages: Derive = {
  id: "whitenAdvantages",
  when: "seal",
  needs: ["advantages"],
  writes: ["advantages"],
  run: (batch) => ({ step: { advantages: whiten(stepColumn(batch, "advantages"), batch.mask) } }),
};

/** What a row's group makes of its score. */
export type RowAdvantages = (scores: Float64Array, groups: Float64Array) => Float64Array;

/** What `of` makes of the batch, [R], at every step of the row. */
export function rowAdvantages(
  id: string,
  needs: readonly string[],
  of: (batch: Batch, context: DeriveContext) => Float64Array,
): Derive {
  return {
    ...{ id, when: "seal", needs, writes: ["advantages"] },
    run: (batch, context) => ({ step: { advantages: spreadRows(of(batch, context), batch.offsets) } }),
  };
}

/** `row` of the rows' scores and groups, at every step of the row. */
export function groupAdvantages(id: string, row: RowAdvantages): Derive {
  return rowAdvantages(id, [], (batch) => row(rowColumn(batch, "score"), rowColumn(batch, "group")));
}

/** (r − mean_g) / (std_g + ε), std Bessel-corrected (GRPO, Shao et al. 2024). A row alone keeps its score. */
export function standardizedByGroup(eps: number): RowAdvantages {
  return (scores, groups) => standardizeByGroup(scores, groups, { singleton: "raw", eps });
}

/** r − mean_g (Dr. GRPO, Liu et al. 2025). */
export function centredByGroup(singleton: SingletonRule): RowAdvantages {
  return (scores, groups) => {
    const { means } = groupStatistics(scores, groups, singleton);
    return scores.map((score, i) => score - means[i]!);
  };
}

/** r − mean of the others = (r − mean_g)·n/(n − 1) (Ahmadian et al. 2024). A row alone keeps its score. */
export const leaveOneOut: RowAdvantages = (scores, groups) => {
  const { means, sizes } = groupStatistics(scores, groups, "raw");
  return scores.map((score, i) => (score - means[i]!) * (sizes[i] === 1 ? 1 : sizes[i]! / (sizes[i]! - 1)));
};

/** (r − mean_g) / (std of all scores of the batch + ε) (Lite PPO, Liu et al. 2025). */
export function centredByGroupScaledByBatch(eps: number): RowAdvantages {
  return (scores, groups) => {
    const { means } = groupStatistics(scores, groups, "raw");
    const { stds } = groupStatistics(scores, new Float64Array(scores.length), "raw");
    return scores.map((score, i) => (score - means[i]!) / (stds[i]! + eps));
  };
}
