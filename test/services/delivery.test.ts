import { describe, expect, it } from "vitest";
import { Random } from "../../core/random.js";
import { DeliveryModel, type ModelOptions } from "./delivery-model.js";

const MOVES = 300;

/** What must never be the case, looked at after every move. */
function wrongIn(model: DeliveryModel): string | null {
  const { intake, ledger } = model.learner;
  const { received, held } = intake;
  const { total } = ledger;
  if (received.rollouts !== total.rollouts + held.rollouts) return "rollouts do not balance";
  if (received.steps !== total.steps + held.steps) return "steps do not balance";
  if (new Set(model.lineage.map(({ key }) => key)).size !== model.lineage.length) return "trained twice";
  return model.lost().length > 0 ? `nobody can deliver ${model.lost().join(", ")}` : null;
}

describe.each([
  ["onTrain", null],
  ["onCheckpoint", null],
  ["onTrain", 3],
  ["onCheckpoint", 2],
] as const)(
  "with ack %s and groups of %s, whatever is lost, repeated or reordered and whoever dies,",
  (ack, groupSize) => {
    const draws = Array.from({ length: 20 }, (_, seed) => {
      const random = new Random(seed);
      const options: ModelOptions = {
        ...{ ack, groupSize },
        maxPolicyLag: random.integer(4),
        batchSteps: 1 + random.integer(20),
      };
      return { random, options };
    });

    it("nothing is trained twice into the weights that survive, nothing in flight is lost, and the books balance", async () => {
      let trained = 0;
      for (const { random, options } of draws) {
        const model = new DeliveryModel(options, random);
        for (let k = 0; k < MOVES; k++) {
          await model.move();
          const wrong = wrongIn(model);
          if (wrong !== null) expect.unreachable(`after ${k + 1} moves: ${wrong}`);
        }
        await model.settleDown();
        expect(wrongIn(model)).toBeNull();
        trained += model.lineage.length;
        // What is left is what the learner holds for its next batch; all else has ended, and its sender knows.
        expect(model.open()).toBe(0);
        expect(model.stillUnsettled()).toBe(model.learner.intake.held.rollouts);
        // The coordinator's books say of each attempt what really became of it.
        const booked = [...model.requests.values()].filter(({ state }) => state === "trained");
        const idOf = (key: string, attempt: number): string => `${key}/${attempt}`;
        expect(booked.map(({ key, rollout }) => idOf(key, rollout.attempt)).sort()).toEqual(
          model.lineage.map(({ key, attempt }) => idOf(key, attempt)).sort(),
        );
        const { counts } = model.learner.ledger;
        expect(counts.trained.rollouts).toBe(model.lineage.length);
      }
      expect(trained).toBeGreaterThan(100);
    });
  },
);
