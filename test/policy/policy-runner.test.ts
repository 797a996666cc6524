import { afterAll, describe, expect, it } from "vitest";
import type { Engine } from "../../core/engine/engine.js";
import { createEngine } from "../../core/engine/select.js";
import { PolicyRunner } from "../../core/policy/policy-runner.js";
import { Random } from "../../core/random.js";
import { randomScript, ScriptedEnvironment } from "../services/scripted-environment.js";
import {
  accumulator,
  CHOICES,
  KEPT,
  logprobsOf,
  NUMBERS,
  remember,
  snapshotOf,
  type Numbers,
} from "../model/accumulator.js";

const engines: Engine[] = [];
afterAll(() => engines.forEach((engine) => engine.close()));

async function engineWith(numbers: Numbers): Promise<Engine> {
  const { engine } = await createEngine("tfjs:wasm", accumulator);
  engine.load(snapshotOf(numbers));
  engines.push(engine);
  return engine;
}

const NOTHING = new Array<number>(KEPT).fill(0);

describe("a policy that plays", () => {
  it("remembers each instance's own episode and nothing before it, and chooses what is allowed", async () => {
    const random = new Random(2);
    const [count, steps] = [4, 60];
    const environment = new ScriptedEnvironment(count, randomScript(random, count, steps));
    const policy = new PolicyRunner(await engineWith(NUMBERS), accumulator, environment);
    const memories = Array.from({ length: count }, () => NOTHING);
    let forbidden = 0;
    for (let t = 0; t < steps; t++) {
      for (let i = 0; i < count; i++) {
        memories[i]!.forEach((h, k) => expect(policy.states[i * KEPT + k]).toBeCloseTo(h, 4));
      }
      // Observations grow with t; scaled down, they keep the logits apart from 0 and 1.
      environment.observations.forEach((x, k) => (environment.observations[k] = x / steps));
      await policy.decide(random);
      for (let i = 0; i < count; i++) {
        memories[i] = remember(NUMBERS, memories[i]!, [
          ...environment.observations.subarray(2 * i, 2 * i + 2),
        ]);
        const mask = [...environment.actionMasks!.subarray(CHOICES * i, CHOICES * (i + 1))];
        const expected = logprobsOf(NUMBERS, memories[i]!, mask)[policy.actions[i]!]!;
        expect(policy.logprobs[i]).toBeCloseTo(expected, 4);
        forbidden += mask.filter((allowed) => allowed === 0).length;
      }
      environment.step(policy.environmentActions);
      policy.forgetEnded();
      for (let i = 0; i < count; i++) {
        if (environment.terminated[i] === 1 || environment.truncated[i] === 1) memories[i] = NOTHING;
      }
    }
    expect(forbidden).toBeGreaterThan(steps);
  });

  it("takes the most probable of the allowed actions where nothing is drawn", async () => {
    const count = 7;
    const never = { reward: 0, terminated: false, truncated: false };
    const environment = new ScriptedEnvironment(count, () => never);
    const policy = new PolicyRunner(await engineWith(NUMBERS), accumulator, environment);
    const memories = Array.from({ length: count }, (_, i) =>
      remember(NUMBERS, NOTHING, [...environment.observations.subarray(2 * i, 2 * i + 2)]),
    );
    await policy.decide(null);
    const best = memories.map((memory, i) => {
      const mask = [...environment.actionMasks!.subarray(CHOICES * i, CHOICES * (i + 1))];
      const logprobs = logprobsOf(NUMBERS, memory, mask);
      return logprobs.indexOf(Math.max(...logprobs));
    });
    expect([...policy.actions]).toEqual(best);
    expect(new Set(best).size).toBeGreaterThan(1);
  });

  it("keeps what older weights remembered when the weights change", async () => {
    const never = { reward: 0, terminated: false, truncated: false };
    const environment = new ScriptedEnvironment(1, () => never);
    const engine = await engineWith(NUMBERS);
    const policy = new PolicyRunner(engine, accumulator, environment);
    const later: Numbers = { ...NUMBERS, decay: [0.5, 0.5], input: [1, 0, 0, 1] };
    const seen = (): number[] => [...environment.observations];
    environment.observations.set([0.5, -0.25]);
    await policy.decide(null);
    const before = remember(NUMBERS, NOTHING, seen());
    environment.step(policy.environmentActions);
    policy.forgetEnded();
    engine.load(snapshotOf(later));
    const after = remember(later, before, seen());
    await policy.decide(null);
    after.forEach((h, k) => expect(policy.states[k]).toBeCloseTo(h, 5));
    expect(Math.abs(before[0]!)).toBeGreaterThan(0.1);
  });
});
