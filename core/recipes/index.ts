/** The methods a run file can name. */
import type { RunConfig } from "../config/schema.js";
import { parseStrict, suggestion } from "../config/validate.js";
import type { EnvironmentSpec } from "../env/environment.js";
import { SkeinError } from "../errors.js";
import { checkRecipe, checkRequirements } from "../slots/check.js";
import { ares } from "./ares.js";
import { aStarPo } from "./a-star-po.js";
import { bnpo } from "./bnpo.js";
import { brpo } from "./brpo.js";
import { canon } from "./canon.js";
import { cispo } from "./cispo.js";
import { copo } from "./copo.js";
import { dapo } from "./dapo.js";
import { clipCov } from "./clip-cov.js";
import { copg } from "./copg.js";
import { deltaL } from "./delta-l.js";
import { drGrpo } from "./dr-grpo.js";
import { egsw } from "./egsw.js";
import { grape } from "./grape.js";
import { grpo } from "./grpo.js";
import { epo } from "./epo.js";
import { gspo } from "./gspo.js";
import { klCov } from "./kl-cov.js";
import { litePpo } from "./lite-ppo.js";
import { oblrPo } from "./oblr-po.js";
import { decoupledPpo } from "./decoupled-ppo.js";
import { gigpo } from "./gigpo.js";
import { gmpo } from "./gmpo.js";
import { decoupled } from "./modifiers/decoupled-ppo.js";
import { dynamicSampling } from "./modifiers/dynamic-sampling.js";
import { entropyBonus } from "./modifiers/entropy-bonus.js";
import { filtration } from "./modifiers/pf-ppo.js";
import { referenceKl } from "./modifiers/reference-kl.js";
import { replay } from "./modifiers/replay.js";
import { tis } from "./modifiers/tis.js";
import { pfPpo } from "./pf-ppo.js";
import { nft } from "./nft.js";
import { polychromic } from "./polychromic.js";
import { pear } from "./pear.js";
import { pdppo } from "./pdppo.js";
import { pmoe } from "./pmoe.js";
import { ppo } from "./ppo.js";
import { ppoKl } from "./ppo-kl.js";
import { ppoMax } from "./ppo-max.js";
import type { ModifierDefinition, Recipe, RecipeDefinition, Requirement } from "../slots/recipe.js";
import { reinforcePp } from "./reinforce-pp.js";
import { remix } from "./remix.js";
import { riskpo } from "./riskpo.js";
import { rloo } from "./rloo.js";
import { rover } from "./rover.js";
import { sapo } from "./sapo.js";
import { seedGrpo } from "./seed-grpo.js";
import { shiq } from "./shiq.js";
import { spine } from "./spine.js";
import { spoSimple } from "./spo-simple.js";
import { tPpo } from "./t-ppo.js";
import { taypo } from "./taypo.js";
import { tisGrpo } from "./tis.js";
import { trpo } from "./trpo.js";
import { vtrace } from "./vtrace.js";

export const recipeDefinitions: readonly RecipeDefinition[] = [
  ...[ppo, pdppo, pmoe, ppoKl, ppoMax, spoSimple, taypo, tPpo, trpo, vtrace],
  ...[grpo, drGrpo, rloo, reinforcePp, gspo, cispo, bnpo, deltaL, litePpo, sapo],
  ...[dapo, copo, seedGrpo, egsw, canon, riskpo, oblrPo, grape, pear, ares],
  ...[gigpo, gmpo, tisGrpo, decoupledPpo, pfPpo, remix, brpo, polychromic],
  ...[clipCov, klCov, epo, spine],
  ...[nft, rover, aStarPo, copg, shiq],
];

export const modifierDefinitions: readonly ModifierDefinition[] = [
  ...[tis, decoupled, dynamicSampling, filtration, referenceKl, entropyBonus, replay],
];

function find<D extends { readonly id: string }>(
  known: readonly D[],
  what: string,
  where: string,
  id: string,
): D {
  const found = known.find((definition) => definition.id === id);
  if (found !== undefined) return found;
  const ids = known.map((definition) => definition.id);
  throw new SkeinError("RECIPE_UNKNOWN", `${where}: no ${what} "${id}".${suggestion(id, ids)}`);
}

/** Throws RECIPE_UNKNOWN with the nearest known id. */
export function findRecipe(id: string): RecipeDefinition {
  return find(recipeDefinitions, "recipe", "recipe.id", id);
}

/** Throws RECIPE_UNKNOWN with the nearest known id. */
export function findModifier(id: string): ModifierDefinition {
  return find(modifierDefinitions, "modifier", "recipe.modifiers", id);
}

interface Choice {
  readonly id: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/**
 * A recipe with its parameters checked (unknown keys refused, bounds kept, defaults filled in), and changed by each
 * modifier in turn.
 */
export function resolveRecipe(choice: Choice & { readonly modifiers?: readonly Choice[] }): Recipe {
  const definition = findRecipe(choice.id);
  const params = parseStrict(definition.params, choice.params, `recipe ${choice.id}`, ["recipe", "params"]);
  const recipe = (choice.modifiers ?? []).reduce((changed, { id, params: given }, k) => {
    const modifier = findModifier(id);
    const where = ["recipe", "modifiers", `${k}`, "params"];
    return modifier.apply(changed, parseStrict(modifier.params, given, `modifier ${id}`, where));
  }, definition.build(params));
  checkRecipe(recipe);
  return recipe;
}

/** What a run gives a recipe to work with. */
function offersOf({ groups, reference, model }: RunFile, spec: EnvironmentSpec): Set<Requirement> {
  const { observationSpace, actionSpace } = spec;
  const mixture = actionSpace.kind === "box" && model.distribution === "mixture";
  const offers: Readonly<Record<Requirement, boolean>> = {
    groups: groups !== null,
    value: model.critic,
    reference: reference !== null,
    anchors: spec.anchorKeys === true || spec.anchorObservations === true || observationSpace.kind !== "box",
    anchorNames: spec.anchorKeys === true,
    snapshots: spec.snapshots === true,
    discrete: actionSpace.kind === "discrete",
    exactKl: actionSpace.kind === "discrete" || (actionSpace.kind === "box" && !mixture),
    mixture,
    postDecision:
      spec.postDecisionStates === true && model.critic && model.kind === "mlp" && model.postDecisionCritic,
    separateCritic: model.kind === "mlp",
  };
  return new Set((Object.keys(offers) as Requirement[]).filter((name) => offers[name]));
}

type RunFile = Pick<RunConfig, "recipe" | "groups" | "reference" | "model">;

/** `resolveRecipe` of a run, which has to offer what the recipe requires. */
export function resolveRunRecipe(config: RunFile, spec: EnvironmentSpec): Recipe {
  const recipe = resolveRecipe(config.recipe);
  checkRequirements(recipe, offersOf(config, spec), spec.counters);
  return recipe;
}
