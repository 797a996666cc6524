import { describe, expect, it } from "vitest";
import { gae } from "../../core/algo/gae.js";
import type { GaeInput } from "../../core/algo/gae.js";
import { discountedReturns } from "../../core/algo/returns.js";
import { Random } from "../../core/random.js";
import type { RaggedBatch } from "./fixture.js";
import { PRINTED, expectClose, f, normals, permuteRows, raggedBatch, shuffled, take } from "./fixture.js";

const STANDARD = { gamma: 0.99, lambda: 0.95 };

function oneRow(rewards: number[], values: number[], bootstrap: number, terminated: 0 | 1, mask?: number[]) {
  return {
    rewards: f(...rewards),
    values: f(...values),
    bootstrapValues: f(bootstrap),
    terminated: Uint8Array.of(terminated),
    mask: Uint8Array.from(mask ?? rewards.map(() => 1)),
    offsets: Uint32Array.of(0, rewards.length),
  } satisfies GaeInput;
}

function randomInput(random: Random, batch: RaggedBatch): GaeInput {
  return {
    rewards: normals(random, batch.steps),
    values: normals(random, batch.steps),
    bootstrapValues: normals(random, batch.rows),
    terminated: Uint8Array.from({ length: batch.rows }, () => random.integer(2)),
    mask: batch.mask,
    offsets: batch.offsets,
  };
}

/** The chosen steps of row i, and V after each of them. */
function chosen(input: GaeInput, i: number): { steps: number[]; nextValues: number[] } {
  const steps: number[] = [];
  for (let t = input.offsets[i]!; t < input.offsets[i + 1]!; t++) if (input.mask[t] === 1) steps.push(t);
  const last = input.terminated[i] === 1 ? 0 : input.bootstrapValues[i]!;
  return {
    steps,
    nextValues: steps.map((_, k) => (k + 1 < steps.length ? input.values[steps[k + 1]!]! : last)),
  };
}

describe("gae", () => {
  it("gives P3's numbers for an unfinished row", () => {
    const { advantages, returns } = gae(oneRow([1, 0, 2], [0.5, 0.4, 0.3], 0.2, 0), STANDARD);
    expectClose(advantages, [2.477986, 1.682069, 1.898], PRINTED);
    expectClose(returns, [2.977986, 2.082069, 2.198], PRINTED);
  });

  it("gives P3's numbers for an episode that ends after t = 1, which is two rows here", () => {
    const input: GaeInput = {
      rewards: f(1, 0, 2),
      values: f(0.5, 0.4, 0.3),
      // Row 0 terminated, so its bootstrap must not be read.
      bootstrapValues: f(NaN, 0.2),
      terminated: Uint8Array.of(1, 0),
      mask: Uint8Array.of(1, 1, 1),
      offsets: Uint32Array.of(0, 2, 3),
    };
    expectClose(gae(input, STANDARD).advantages, [0.5198, -0.4, 1.898], PRINTED);
  });

  it("gives P3's numbers for a row with a masked step", () => {
    const input = oneRow([0, 0, 0, 1], [0.2, 9, 0.4, 0.6], NaN, 1, [1, 0, 1, 1]);
    expectClose(gae(input, { gamma: 1, lambda: 0.95 }).advantages, [0.751, 0.58, 0.58, 0.4], PRINTED);
  });

  it("gives the catalogue's numbers for a finished response (T-PPO) and for PPO-max", () => {
    const finished = oneRow([0, 0, 0, 1], [0.2, 0.3, 0.5, 0.4], NaN, 1);
    const parameters = { gamma: 1, lambda: 0.95 };
    expectClose(gae(finished, parameters).advantages, [0.714175, 0.6465, 0.47, 0.6], PRINTED);
    const ppoMax = oneRow([-0.002, 0.004, 0.798], [0.1, 0.2, 0.3], NaN, 1);
    expectClose(gae(ppoMax, parameters).advantages, [0.646245, 0.5771, 0.498], PRINTED);
  });

  it("is the sum Σ_l (γλ)^l δ_{t+l} over chosen steps of the row", () => {
    const random = new Random(31);
    for (let draw = 0; draw < 20; draw++) {
      const input = randomInput(random, raggedBatch(random, 8));
      const gamma = random.between(0.8, 1);
      const lambda = random.uniform();
      const { advantages, returns } = gae(input, { gamma, lambda });
      for (let i = 0; i < input.offsets.length - 1; i++) {
        const { steps, nextValues } = chosen(input, i);
        const deltas = steps.map((t, k) => input.rewards[t]! + gamma * nextValues[k]! - input.values[t]!);
        steps.forEach((t, k) => {
          const sum = deltas.slice(k).reduce((s, delta, l) => s + (gamma * lambda) ** l * delta, 0);
          expectClose([advantages[t]!, returns[t]!], [sum, sum + input.values[t]!], 1e-12);
        });
      }
    }
  });

  it("has the discounted return as its value target when λ = 1, and the one-step error when λ = 0", () => {
    const random = new Random(32);
    const input = randomInput(random, raggedBatch(random, 12));
    const one = gae(input, { gamma: 0.97, lambda: 1 });
    const zero = gae(input, { gamma: 0.97, lambda: 0 });
    const monteCarlo = discountedReturns(input, 0.97);
    for (let i = 0; i < 12; i++) {
      const { steps, nextValues } = chosen(input, i);
      steps.forEach((t, k) => {
        expectClose([one.returns[t]!], [monteCarlo[t]!], 1e-12);
        expectClose([zero.returns[t]!], [input.rewards[t]! + 0.97 * nextValues[k]!], 1e-12);
      });
    }
  });

  it("is not changed by inserting masked steps, whatever they hold", () => {
    const random = new Random(33);
    const input = randomInput(random, raggedBatch(random, 10));
    const poisoned: GaeInput = {
      ...input,
      rewards: input.rewards.map((x, t) => (input.mask[t] === 1 ? x : NaN)),
      values: input.values.map((x, t) => (input.mask[t] === 1 ? x : NaN)),
    };
    expect(gae(poisoned, STANDARD).advantages).toEqual(gae(input, STANDARD).advantages);

    const kept = Array.from(input.mask.keys()).filter((t) => input.mask[t] === 1);
    const offsets = Uint32Array.from(input.offsets, (end) => kept.filter((t) => t < end).length);
    const packed = gae(
      {
        ...input,
        rewards: take(input.rewards, kept),
        values: take(input.values, kept),
        mask: new Uint8Array(kept.length).fill(1),
        offsets,
      },
      STANDARD,
    );
    const full = gae(input, STANDARD);
    expect(packed.advantages).toEqual(take(full.advantages, kept));
    expect(packed.returns).toEqual(take(full.returns, kept));
  });

  it("treats rows alone: their order does not matter", () => {
    const random = new Random(34);
    const batch = raggedBatch(random, 9);
    const input = randomInput(random, batch);
    const order = shuffled(random, 9);
    const moved = permuteRows(batch, order);
    const permuted = gae(
      {
        rewards: take(input.rewards, moved.stepsFrom),
        values: take(input.values, moved.stepsFrom),
        bootstrapValues: take(input.bootstrapValues, order),
        terminated: Uint8Array.from(order, (i) => input.terminated[i]!),
        mask: moved.mask,
        offsets: moved.offsets,
      },
      STANDARD,
    );
    expect(permuted.advantages).toEqual(take(gae(input, STANDARD).advantages, moved.stepsFrom));
  });

  it("refuses arrays of another length by name", () => {
    const input = oneRow([1, 0, 2], [0.5, 0.4, 0.3], 0.2, 0);
    expect(() => gae({ ...input, values: f(1, 2) }, STANDARD)).toThrow("gae: expected values [3], got [2]");
    expect(() => gae({ ...input, bootstrapValues: f(1, 2) }, STANDARD)).toThrow(
      "gae: expected bootstrapValues [1], got [2]",
    );
    expect(() => gae({ ...input, offsets: Uint32Array.of(0, 2) }, STANDARD)).toThrow(
      "gae: expected offsets from 0 to 3, got 0 … 2",
    );
  });
});

describe("discountedReturns", () => {
  it("is the sum Σ_l γ^l r_{t+l} over chosen steps, plus γ^T times the bootstrap unless terminated", () => {
    const random = new Random(35);
    for (let draw = 0; draw < 20; draw++) {
      const input = randomInput(random, raggedBatch(random, 6));
      const gamma = random.between(0.8, 1);
      const returns = discountedReturns(input, gamma);
      for (let i = 0; i < 6; i++) {
        const { steps } = chosen(input, i);
        const last = input.terminated[i] === 1 ? 0 : input.bootstrapValues[i]!;
        steps.forEach((t, k) => {
          const future = steps.slice(k);
          const sum = future.reduce((s, u, l) => s + gamma ** l * input.rewards[u]!, 0);
          expectClose([returns[t]!], [sum + gamma ** future.length * last], 1e-12);
        });
      }
    }
  });

  it("gives GiGPO's step returns of the catalogue: γ .95, terminal reward 10 and 0", () => {
    const returns = discountedReturns(
      {
        rewards: f(0, 0, 10, 0, 0),
        bootstrapValues: f(0, 0),
        terminated: Uint8Array.of(1, 1),
        mask: new Uint8Array(5).fill(1),
        offsets: Uint32Array.of(0, 3, 5),
      },
      0.95,
    );
    expectClose(returns, [9.025, 9.5, 10, 0, 0], 1e-12);
  });

  it("carries the reward past an interior masked step instead of starting again there", () => {
    const returns = discountedReturns(
      {
        rewards: f(0, 0, 1),
        bootstrapValues: f(NaN),
        terminated: Uint8Array.of(1),
        mask: Uint8Array.of(1, 0, 1),
        offsets: Uint32Array.of(0, 3),
      },
      0.5,
    );
    // One discount only: the masked step takes no time.
    expect(Array.from(returns)).toEqual([0.5, 1, 1]);
  });
});
