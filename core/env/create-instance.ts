/** One instance of a user's environment, with the methods that its description promises and no others of those. */
import { messageOf, SkeinError } from "../errors.js";
import type { Environment, EnvironmentSpec } from "./environment.js";

/** What a description may promise, and the methods that keep it. */
const OFFERS = {
  actionMasks: ["actionMask"],
  snapshots: ["snapshot", "restore"],
  anchorKeys: ["anchorKey"],
  postDecisionStates: ["postDecisionState"],
} as const satisfies Partial<Record<keyof EnvironmentSpec, readonly (keyof Environment)[]>>;
type Offer = keyof typeof OFFERS;

/** Throws ENVIRONMENT_FAILED where `create` throws, or a method is promised and not there, or there and not promised. */
export function createInstance(spec: EnvironmentSpec, i: number, create: () => Environment): Environment {
  const where = `environment "${spec.id}", instance ${i}, step 0`;
  let environment: Environment;
  try {
    environment = create();
  } catch (cause) {
    const text = `${where}: create() threw "${messageOf(cause)}"`;
    throw new SkeinError("ENVIRONMENT_FAILED", text, { cause });
  }
  for (const offer of Object.keys(OFFERS) as Offer[]) {
    for (const method of OFFERS[offer]) {
      const complaint = complaintAbout(environment, method, offer, spec[offer] === true);
      if (complaint !== null) throw new SkeinError("ENVIRONMENT_FAILED", `${where}: ${complaint}`);
    }
  }
  return environment;
}

function complaintAbout(
  environment: Environment,
  method: keyof Environment,
  offer: Offer,
  promised: boolean,
): string | null {
  const there = typeof (environment as Partial<Environment> | undefined)?.[method] === "function";
  if (there === promised) return null;
  return there
    ? `there is a method ${method}(), but the environment's description does not say ${offer}: true; add that, or leave the method out`
    : `the environment's description says ${offer}: true, but there is no method ${method}(); add it, or leave the flag out`;
}
