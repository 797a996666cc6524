/** What a learner trained on, told by its log: what survived of it after each return to a checkpoint. */

interface Line {
  readonly msg?: unknown;
  readonly version?: unknown;
  readonly rollouts?: unknown;
}

/** Ids of the rollouts that the last weights were made of, in the order of training. `log`: a JSON object a line. */
export function survivingRollouts(log: string): string[] {
  let batches: { readonly version: number; readonly rollouts: readonly string[] }[] = [];
  for (const text of log.split("\n")) {
    if (!text.startsWith("{") || !text.endsWith("}")) continue;
    const line = JSON.parse(text) as Line;
    const version = Number(line.version);
    if (line.msg === "begins") batches = batches.filter((batch) => batch.version <= version);
    if (line.msg === "batch trained") batches.push({ version, rollouts: line.rollouts as readonly string[] });
  }
  return batches.flatMap(({ rollouts }) => rollouts);
}
