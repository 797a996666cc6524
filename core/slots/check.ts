/** Refuses a recipe that reads a column nobody gives it, before anything is started. */
import { branchComplaint } from "../branches.js";
import { SkeinError } from "../errors.js";
import type { Recipe, Requirement } from "./recipe.js";

/** Step columns that every batch has. */
const RECORDED = ["rewards", "behaviorLogprobs", "oldLogprobs", "versions", "policyLags"];
/** Step columns that evaluating a live column adds. */
export const EVALUATED = {
  value: "values",
  logprob: "proximalLogprobs",
  entropy: "entropies",
  policy: "policies",
  postValue: "postValues",
  componentValues: "componentValues",
} as const;
export const OF_REFERENCE = { logprob: "referenceLogprobs", policy: "referencePolicies" } as const;

/** Throws RECIPE_INVALID naming the reader, the column and what there is, or branches that cannot be played. */
export function checkRecipe(recipe: Recipe): void {
  const { branches } = recipe.sampler;
  const complaint = branches === undefined ? null : branchComplaint(branches);
  if (complaint !== null) {
    throw new SkeinError("RECIPE_INVALID", `recipe ${recipe.id}: branches: ${complaint}`);
  }
  const available = new Set<string>([
    ...RECORDED,
    ...(recipe.keepUnfinished === undefined ? [] : ["fresh"]),
    ...recipe.evaluate.map((column) => EVALUATED[column]),
    ...(recipe.evaluateReference ?? []).map((column) => OF_REFERENCE[column]),
  ]);
  const expect = (reader: string, needs: readonly string[]): void => {
    for (const name of needs) {
      if (available.has(name)) continue;
      throw new SkeinError(
        "RECIPE_INVALID",
        `recipe ${recipe.id}: ${reader} needs the step column "${name}"; there is ${[...available].join(", ")}`,
      );
    }
  };
  for (const when of ["seal", "step"] as const) {
    for (const derive of recipe.derive.filter((candidate) => candidate.when === when)) {
      expect(derive.id, derive.needs);
      for (const name of derive.writes) available.add(name);
    }
  }
  const { optimizer } = recipe.update;
  const terms = optimizer === undefined ? recipe.terms : [...recipe.terms, optimizer.constraint];
  for (const { id, needs, weights = [], select } of terms) {
    expect(id, [...needs, ...weights, ...(select === undefined ? [] : [select])]);
  }
}

/** What to set in the run file where a recipe's requirement is not met. */
const REMEDIES: Readonly<Record<Requirement, string>> = {
  groups: "groups of rollouts of the same task: set groups.size and groups.tasks",
  value: "a network with a critic: leave model.critic out or set it to true",
  reference: "a reference policy: set reference.policy",
  anchors:
    "an environment that says which states are the same: one with integer observations, or with anchorKeys or anchorObservations in its description",
  anchorNames: "an environment that names its states: one with anchorKeys in its description",
  snapshots: "an environment that can go back to a state: one with snapshots in its description",
  discrete: "an environment with integer actions",
  exactKl:
    "actions that are one integer, or numbers with model.distribution gaussian or tanhGaussian: their distributions have " +
    "an exact KL divergence",
  mixture: "real-valued actions drawn from several Gaussians: set model.distribution: mixture",
  postDecision:
    "an environment with postDecisionStates in its description, and a critic of those: set model.postDecisionCritic: true",
  separateCritic: "an actor and a critic that share no weights: set model.kind: mlp",
};

/**
 * Throws RECIPE_INVALID naming what is missing from a run that offers `offered` and whose environment emits `counters`,
 * and what to set.
 */
export function checkRequirements(
  recipe: Recipe,
  offered: ReadonlySet<Requirement>,
  counters: readonly string[] = [],
): void {
  for (const name of recipe.counters ?? []) {
    if (counters.includes(name)) continue;
    throw new SkeinError(
      "RECIPE_INVALID",
      `recipe ${recipe.id} needs the number "${name}" at the end of every episode: an environment with ` +
        `counters: ["${name}"] in its description; this one has ${counters.join(", ") || "none"}`,
    );
  }
  for (const requirement of recipe.requires) {
    if (offered.has(requirement)) continue;
    throw new SkeinError("RECIPE_INVALID", `recipe ${recipe.id} needs ${REMEDIES[requirement]}`);
  }
}
