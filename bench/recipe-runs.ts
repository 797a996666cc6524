/** A run file for every method: an environment, a network and parameters with which it learns something in a minute. */
import { resolveRecipe } from "../core/recipes/index.js";
import type { Requirement } from "../core/slots/recipe.js";

/** Of CartPole's returns, for methods that have to know what failure and success are. */
const RETURNS = { minScore: 0, maxScore: 500 };

/** Where defaults are for other tasks than CartPole, or for longer runs. */
const PARAMS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "a-star-po": { valueBatches: 2, beta1: 100, beta2: 1 },
  ares: { maxFilteredBatches: 3 },
  bnpo: RETURNS,
  nft: { maxFilteredBatches: 3 },
  pear: { ...RETURNS, successFrom: 0.04 },
  polychromic: { maxScore: 500 },
};

const FROZEN_LAKE = { environment: { id: "FrozenLake-v1" } };

/** Methods that know success and failure alone; of CartPole's returns none is either for long. */
const OUTCOMES: readonly string[] = ["ares", "nft"];

/** Where CartPole or a plain network will not do. */
const PLACES: Partial<Record<Requirement, Readonly<Record<string, unknown>>>> = {
  anchors: FROZEN_LAKE,
  mixture: { environment: { id: "Pendulum-v1" }, model: { distribution: "mixture" } },
  postDecision: { ...FROZEN_LAKE, model: { postDecisionCritic: true } },
};

/** `params` laid over what the method needs for its environment. */
export function recipeRun(
  id: string,
  params: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const recipe = { id, params: { ...PARAMS[id], ...params } };
  const { requires } = resolveRecipe(recipe);
  return {
    ...(OUTCOMES.includes(id) ? FROZEN_LAKE : { environment: { id: "CartPole-v1" } }),
    recipe,
    groups: requires.includes("groups") ? { size: 4, tasks: 1_000_000 } : null,
    reference: requires.includes("reference") ? {} : null,
    ...Object.assign({}, ...requires.map((requirement) => PLACES[requirement] ?? {})),
  } as Readonly<Record<string, unknown>>;
}
