/** Numbers that an environment gives to recipes beside observations and rewards, by the names in its description. */

/** [count] each */
export type NamedNumbers = Readonly<Record<string, Float64Array>>;

/** Zeros for `count` instances. */
export function namedNumbers(names: readonly string[] | undefined, count: number): NamedNumbers {
  return Object.fromEntries((names ?? []).map((name) => [name, new Float64Array(count)]));
}

/** Columns of batches that come from elsewhere. */
const TAKEN = {
  stepExtras: [
    ...["rewards", "behaviorLogprobs", "oldLogprobs", "versions", "policyLags", "anchor"],
    ...["values", "postValues", "componentValues", "proximalLogprobs", "entropies", "policies"],
    ...["referenceLogprobs", "referencePolicies", "fresh"],
  ],
  counters: [
    ...["episodeReturn", "episodeLength", "branchAt", "branchNumber"],
    ...["trajectory", "group", "member", "task", "score", "truncated", "bootstrapValues", "batchesKept"],
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>;

const NAME = /^[A-Za-z][A-Za-z0-9._-]{0,63}$/;

/** What such names have to be, where `names` are not; else null. */
export function expectedNames(field: keyof typeof TAKEN, names: unknown): string | null {
  const taken: readonly string[] = TAKEN[field];
  const fits = (name: unknown): boolean =>
    typeof name === "string" && NAME.test(name) && !taken.includes(name);
  if (Array.isArray(names) && names.every(fits) && new Set(names).size === names.length) return null;
  return (
    "a list of different names, each a letter and up to 63 letters, digits, '.', '_' or '-', " +
    `and none of ${taken.join(", ")}`
  );
}
