/** What holds for every recipe that a run file can name, on random groups: in what order things come says nothing. */
import { describe, expect, it } from "vitest";
import {
  addTotals,
  aggregateTotals,
  aggregateWeights,
  type AggregateTotals,
} from "../../core/algo/aggregate.js";
import type { Cotangents, LiveColumn } from "../../core/engine/engine.js";
import { Random } from "../../core/random.js";
import { stepColumn, withColumns, type Batch, type ColumnSet } from "../../core/slots/batch.js";
import { liveColumns } from "../../core/slots/evaluate.js";
import { recipeDefinitions, resolveRecipe } from "../../core/recipes/index.js";
import type { Recipe, Term } from "../../core/slots/recipe.js";
import { selectRows } from "../../core/slots/select.js";
import { worst } from "./fixture.js";
import {
  derivedFrom,
  evaluateDerived,
  evaluateGroups,
  liveName,
  randomGroups,
  readingsOf,
  withMixtures,
} from "./random-groups.js";

/** Where defaults would leave the method idle on a small batch, or choose by chance. */
const PARAMS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "a-star-po": { beta2: 0.3 },
  ares: { form: "released", successScore: 0.5, windowSteps: 2, windowQuantile: 0.7 },
  // Every candidate is left out: no order of steps decides.
  "clip-cov": { share: 1, covLow: 0.05, clipLow: 0.1, clipHigh: 0.1 },
  epo: { entropyCoefficient: 0.5, bandLow: 0.8, bandHigh: 1.2 },
  grape: { rubrics: [{ score: "right", confidence: "sure" }, { score: "short" }] },
  gspo: { clipLow: 0.05, clipHigh: 0.05 },
  "kl-cov": { share: 0.3 },
  nft: { successScore: 0 },
  spine: { forkShare: 0.5, klCoefficient: 0.3, bandCoefficient: 0.5 },
};

/** Their surrogate holds a part of its own loss constant, which central differences of that loss cannot see. */
const HELD = new Set(["cispo", "nft"]);

/** They draw rows by chance: another order of rows, another draw. */
const DRAWN = new Set(["pf-ppo"]);

/** Their rows are an episode and its continuations, each of which has its place: branches.test.ts. */
const BRANCHED = new Set(["brpo", "polychromic"]);

const recipes: readonly (readonly [string, Recipe])[] = recipeDefinitions
  .filter(({ id }) => !BRANCHED.has(id))
  .map(({ id }) => [id, resolveRecipe({ id, params: PARAMS[id] ?? {} })]);

/** Scores between 0 and 1, as bnpo wants them, 0 and 1 among them. */
function groupsFor(recipe: Recipe, seed: number, masked = 0.2): Batch {
  const random = new Random(seed);
  const drawn = randomGroups(random, { masked, score: () => random.integer(9) / 8 });
  const batch = recipe.requires.includes("mixture") ? withMixtures(drawn, random) : drawn;
  const counters = (recipe.counters ?? []).map((name) => [
    name,
    batch.row["score"]!.map(() => random.uniform()),
  ]);
  return withColumns(batch, { row: Object.fromEntries(counters) as ColumnSet });
}

const SEEDS = [11, 12, 13];
const cases = recipes.flatMap(([id, recipe]) => SEEDS.map((seed) => [id, seed, recipe] as const));

function expectSame(found: Cotangents, expected: Cotangents, tolerance = 1e-9): void {
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  for (const name of Object.keys(expected) as LiveColumn[]) {
    expect(worst(found[name]!, expected[name]!), name).toBeLessThan(tolerance);
  }
}

/** The cotangents as step columns of the batch, to be carried along. */
function withCotangents(batch: Batch, cotangents: Cotangents): Batch {
  const columns = Object.entries(cotangents).map(([name, column]) => [`cotangent ${name}`, column] as const);
  return withColumns(batch, { step: Object.fromEntries(columns) });
}

function cotangentsIn(batch: Batch): Cotangents {
  const columns = Object.entries(batch.step).filter(([name]) => name.startsWith("cotangent "));
  return Object.fromEntries(columns.map(([name, column]) => [name.slice("cotangent ".length), column]));
}

describe.each(recipes)("%s", (id, recipe) => {
  const batch = groupsFor(recipe, 11);
  const evaluation = evaluateGroups(recipe, batch);
  const { loss, cotangents } = evaluation;
  const columns = [...new Set(recipe.terms.filter((term) => term.coefficient !== 0).map(({ on }) => on))];

  it("trains on the fixture at all", () => {
    for (const name of columns) {
      const column = cotangents[name]!;
      expect(column.every(Number.isFinite)).toBe(true);
      expect(column.filter((x) => x !== 0).length, name).toBeGreaterThan(batch.mask.length / 8);
    }
  });

  it.skipIf(DRAWN.has(id))("does not ask in which order rows come", () => {
    const order = Uint32Array.from(batch.terminated, (_, row) => row);
    new Random(5).shuffle(order);
    const moved = selectRows(withCotangents(batch, cotangents), order);
    const found = evaluateGroups(recipe, moved);
    expect(Math.abs(found.loss - loss)).toBeLessThan(1e-9);
    expectSame(found.cotangents, cotangentsIn(moved));
  });

  it("does not ask what groups, tasks and trajectories are called", () => {
    const renamed = (name: string): Float64Array => batch.row[name]!.map((x) => 1000 - 7 * x);
    const row = { group: renamed("group"), task: renamed("task"), trajectory: renamed("trajectory") };
    const found = evaluateGroups(recipe, withColumns(batch, { row }));
    expect(Math.abs(found.loss - loss)).toBeLessThan(1e-12);
    expectSame(found.cotangents, cotangents, 1e-12);
  });

  it("does not look at steps that the policy did not choose", () => {
    const random = new Random(6);
    const step = Object.fromEntries(
      Object.entries(batch.step).map(([name, column]) => {
        const width = column.length / batch.mask.length;
        return [name, column.map((x, k) => (batch.mask[Math.floor(k / width)] === 1 ? x : random.normal()))];
      }),
    );
    const found = evaluateGroups(recipe, withColumns(batch, { step }));
    expect(Math.abs(found.loss - loss)).toBeLessThan(1e-12);
    expectSame(found.cotangents, cotangents, 1e-12);
    const { mask } = derivedFrom(recipe, batch);
    for (const column of Object.values(cotangents)) {
      const width = column.length / mask.length;
      expect(column.every((x, k) => mask[Math.floor(k / width)] === 1 || x === 0)).toBe(true);
    }
  });

  it.skipIf(HELD.has(id))("has the slopes of its loss, with what it derives held constant", () => {
    const readings = readingsOf(recipe, batch);
    const derived = derivedFrom(recipe, batch, readings);
    const h = 2 ** -9;
    for (const name of columns) {
      const base = stepColumn(derived, liveName(name));
      const size = cotangents[name]!.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      let kinks = 0;
      base.forEach((x, k) => {
        const at = (by: number): number => {
          const step = { [liveName(name)]: base.with(k, x + by) };
          return evaluateDerived(recipe, withColumns(derived, { step }), readings).loss;
        };
        const slopes = [(loss - at(-h)) / h, (at(h) - loss) / h] as const;
        const [low, high] = [Math.min(...slopes), Math.max(...slopes)];
        // A derivative lies between the slopes on either side, which curvature sets apart by some h; near a kink it is
        // that of one side, off by the curvature there.
        const kink = high - low > 0.02 * size;
        if (kink) kinks++;
        const slack = (kink ? h : 1e-5) * size;
        const found = cotangents[name]![k]!;
        const where = `${name} at ${k}: slopes ${low} … ${high}, found ${found}`;
        expect(found, where).toBeGreaterThan(low - slack);
        expect(found, where).toBeLessThan(high + slack);
      });
      expect(kinks, `kinks on ${name}`).toBeLessThan(base.length / 20);
    }
  });

  it("is the sum of its parts once denominators are those of the whole", () => {
    const readings = readingsOf(recipe, batch);
    const derived = derivedFrom(recipe, batch, readings);
    const rows = Uint32Array.from(batch.terminated, (_, row) => row);
    const parts = [rows.subarray(0, 5), rows.subarray(5, 6), rows.subarray(6)].map((part) =>
      selectRows(derived, part),
    );
    const totalsOf = (term: Term, part: Batch): AggregateTotals => {
      const selected = term.select === undefined ? null : stepColumn(part, term.select);
      const mask = part.mask.map((m, t) => (selected?.[t] === 0 ? 0 : m));
      return aggregateTotals(term.aggregator, mask, part.offsets);
    };
    const terms = recipe.terms.map((term) => {
      const totals = parts.map((part) => totalsOf(term, part)).reduce(addTotals);
      const { aggregator } = term;
      return { ...term, aggregator: { ...aggregator, denominator: () => aggregator.denominator(totals) } };
    });
    const found = parts.map((part) => evaluateDerived({ ...recipe, terms }, part, readings));
    const total = found.reduce((sum, part) => sum + part.loss, 0);
    expect(Math.abs(total - loss)).toBeLessThan(1e-12);
    const joined = liveColumns(recipe)
      .filter((name) => cotangents[name] !== undefined)
      .map(
        (name) => [name, Float64Array.from(found.flatMap((part) => [...part.cotangents[name]!]))] as const,
      );
    expectSame(Object.fromEntries(joined), cotangents, 1e-12);
  });
});

/** Those that divide by a deviation. */
const SCALE = [
  "grpo",
  "gspo",
  "cispo",
  "delta-l",
  "lite-ppo",
  "sapo",
  "reinforce-pp",
  "epo",
  "dapo",
  "egsw",
].concat(["gmpo", "tis", "remix"]);
/** Those and others that take a baseline away. */
const SHIFT = [
  ...SCALE,
  "dr-grpo",
  "rloo",
  "clip-cov",
  "kl-cov",
  "rover",
  "copg",
  "canon",
  "seed-grpo",
  "oblr-po",
];

const changed = (batch: Batch, score: (x: number) => number): Batch =>
  withColumns(batch, { row: { score: batch.row["score"]!.map(score) } });

describe("scores", () => {
  it.each(cases.filter(([id]) => SHIFT.includes(id)))("of %s may be shifted (%i)", (_id, seed, recipe) => {
    const batch = groupsFor(recipe, seed);
    const found = evaluateGroups(
      recipe,
      changed(batch, (r) => r + 3),
    ).cotangents;
    expectSame(found, evaluateGroups(recipe, batch).cotangents);
  });

  it.each(cases.filter(([id]) => SCALE.includes(id)))("of %s may be scaled (%i)", (_id, seed, recipe) => {
    const batch = groupsFor(recipe, seed);
    const found = evaluateGroups(
      recipe,
      changed(batch, (r) => 4 * r),
    ).cotangents;
    // But for the ε added to deviations.
    expectSame(found, evaluateGroups(recipe, batch).cotangents, 1e-5);
  });

  it.each(cases.filter(([id]) => ["dr-grpo", "rloo", "seed-grpo", "canon", "oblr-po"].includes(id)))(
    "of %s scale its gradient (%i)",
    (_id, seed, recipe) => {
      const batch = groupsFor(recipe, seed);
      const found = evaluateGroups(
        recipe,
        changed(batch, (r) => 4 * r),
      ).cotangents.logprob!;
      const expected = evaluateGroups(recipe, batch).cotangents.logprob!.map((x) => 4 * x);
      expectSame({ logprob: found }, { logprob: expected });
    },
  );
});

describe("a step that is masked as well", () => {
  const LOCAL = ["grpo", "dr-grpo", "rloo", "cispo", "delta-l", "lite-ppo", "sapo", "nft"];

  it.each(cases.filter(([id]) => LOCAL.includes(id)))(
    "changes the others of %s by their denominators alone (%i)",
    (_id, seed, recipe) => {
      const batch = groupsFor(recipe, seed, 0);
      const before = evaluateGroups(recipe, batch).cotangents.logprob!;
      const { aggregator } = recipe.terms[0]!;
      const kappa = (mask: Uint8Array): Float64Array => aggregateWeights(aggregator, mask, batch.offsets);
      for (const step of [0, 7, batch.mask.length - 1]) {
        const mask = batch.mask.with(step, 0);
        const found = evaluateGroups(recipe, { ...batch, mask }).cotangents.logprob!;
        const [full, less] = [kappa(batch.mask), kappa(mask)];
        expectSame({ logprob: found }, { logprob: before.map((x, t) => (x * less[t]!) / full[t]!) }, 1e-12);
      }
    },
  );

  it("stays in the denominator where it only has weight 0, and leaves it where it is not selected", () => {
    const batch = groupsFor(resolveRecipe({ id: "grpo", params: {} }), 11, 0);
    const marked = batch.step["rewards"]!.map((_, t) => (t % 5 === 0 ? 0 : 1));
    const columns = withColumns(batch, { step: { marked } });
    const plain = resolveRecipe({ id: "lite-ppo", params: {} });
    const lossOf = (change: Partial<Term>): Float64Array =>
      evaluateGroups({ ...plain, terms: plain.terms.map((term) => ({ ...term, ...change })) }, columns)
        .cotangents.logprob!;
    const left = marked.filter((x) => x === 1).length;
    const all = lossOf({});
    expectSame({ logprob: lossOf({ weights: ["marked"] }) }, { logprob: all.map((x, t) => x * marked[t]!) });
    expectSame(
      { logprob: lossOf({ select: "marked" }) },
      { logprob: all.map((x, t) => (x * marked[t]! * marked.length) / left) },
    );
  });
});
