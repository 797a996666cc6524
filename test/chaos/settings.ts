/** The run file of every schedule. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "../e2e/skein.js";

export type Settings = Readonly<Record<string, unknown>>;

function isSettings(value: unknown): value is Settings {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `over` wins, field by field. */
export function merged(base: Settings, over: Settings): Settings {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const before = result[key];
    result[key] = isSettings(before) && isSettings(value) ? merged(before, value) : value;
  }
  return result;
}

/**
 * Leases of two seconds and a checkpoint every five versions, so that faults tell soon. The rate does not anneal:
 * a run that loses time to faults learns as quickly at its end as at its beginning.
 */
const IMPATIENT: Settings = {
  run: { name: "chaos" },
  recipe: { params: { annealLearningRate: false } },
  learner: { checkpointEvery: 5, maxRestarts: 20 },
  coordinator: { heartbeatSeconds: 0.25, leaseSeconds: 2 },
  transport: { deadlineSeconds: 5, keepaliveSeconds: 2, reconnectSeconds: 60 },
  stop: { envSteps: 500_000, meanReturn: 475 },
  logLevel: "debug",
};

/** CartPole-v1 as in the examples, solved at a mean return of 475 over 100 episodes. */
export async function impatientCartPole(): Promise<Settings> {
  const example = parse(await readFile(join(ROOT, "examples/cartpole.yaml"), "utf8")) as Settings;
  return merged(example, IMPATIENT);
}
