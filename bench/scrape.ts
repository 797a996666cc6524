/** Sums over the services' /metrics, and what went on between two looks at them. */
import { SkeinError } from "../core/errors.js";

/** Sums of the samples of each name, labels and processes together. */
export type Sums = ReadonlyMap<string, number>;

const ANSWER_MS = 10_000;

/** Adds up the samples of Prometheus text. */
export function sumSamples(text: string, sums: Map<string, number>): void {
  for (const [, name, value] of text.matchAll(/^([a-z_]+)(?:\{[^}]*\})? (\S+)$/gm)) {
    sums.set(name!, (sums.get(name!) ?? 0) + Number(value));
  }
}

/** `addresses`: `http://host:port` of each service. */
export async function scrape(addresses: readonly string[]): Promise<Sums> {
  const sums = new Map<string, number>();
  for (const address of addresses) {
    const response = await fetch(`${address}/metrics`, { signal: AbortSignal.timeout(ANSWER_MS) });
    if (!response.ok)
      throw new SkeinError("UNAVAILABLE", `${address}/metrics: expected 200, got ${response.status}`);
    sumSamples(await response.text(), sums);
  }
  return sums;
}

/** `after` − `before`. */
export function between(before: Sums, after: Sums): Sums {
  return new Map([...after].map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
}

export function total(all: readonly Sums[]): Sums {
  const sums = new Map<string, number>();
  for (const one of all) for (const [name, value] of one) sums.set(name, (sums.get(name) ?? 0) + value);
  return sums;
}

export interface Part {
  readonly role: "actor" | "learner";
  /** `inference`, `batch wait` … */
  readonly name: string;
  /** Of one process of that role, summed over processes, for each environment step that the role dealt with. */
  readonly microsecondsPerEnvStep: number;
}

/** Every duration that the actors and the learner report, per environment step; those not reported are left out. */
export function breakdown(sums: Sums): Part[] {
  return [...sums].flatMap(([metric, seconds]) => {
    const match = /^skein_(actor|learner)_([a-z_]+)_seconds_sum$/.exec(metric);
    if (match === null) return [];
    const role = match[1] as Part["role"];
    const envSteps = sums.get(`skein_${role}_env_steps_total`) ?? 0;
    return envSteps === 0
      ? []
      : [{ role, name: match[2]!.replaceAll("_", " "), microsecondsPerEnvStep: (seconds * 1e6) / envSteps }];
  });
}
