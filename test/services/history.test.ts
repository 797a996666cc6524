import { describe, expect, it } from "vitest";
import { taskOrder, type Allocator } from "../../services/coordinator/allocator.js";
import { SqlHistory } from "../../services/coordinator/history.js";
import { readBooks } from "../../services/coordinator/read-books.js";
import { Store } from "../../services/coordinator/store.js";
import { outcome } from "./coordinator-place.js";
import { ended, everything, placesOfTests, workingGroups } from "./coordinator-places.js";

const places = placesOfTests("history");

describe("the history of tasks", () => {
  it("has mean and variance of returns and lengths as plain sums give them", () => {
    const history = new SqlHistory(Store.open(null));
    const returns = [3, -1, 4, 1, -5, 9, 2, 6];
    const lengths = returns.map((value) => 10 + value * value);
    returns.forEach((value, k) => {
      history.countAttempt("task-1");
      history.record("task-1", value, lengths[k]!);
      // Batches begin at any time.
      if (k % 3 === 2) history.advance();
    });
    history.advance();
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const variance = (values: readonly number[]) =>
      values.reduce((sum, value) => sum + (value - mean(values)) ** 2, 0) / (values.length - 1);
    const known = history.snapshot.of("task-1")!;
    expect(known.attempts).toBe(8);
    for (const [moments, values] of [
      [known.returns, returns],
      [known.lengths, lengths],
    ] as const) {
      expect(moments.count).toBe(8);
      expect(moments.mean).toBeCloseTo(mean(values), 12);
      expect(moments.variance).toBeCloseTo(variance(values), 10);
    }
    expect(history.snapshot.of("task-2")).toBeNull();
    expect(history.snapshot.tasks).toBe(1);
  });

  it("holds still while a batch is collected, and has all of it when the next begins", async () => {
    const known: (number | undefined)[] = [];
    const allocator: Allocator = {
      next: (_group, history) => {
        known.push(history.of("task-0")?.returns.count);
        return taskOrder(1, 0);
      },
    };
    const { place, learner, actors } = await workingGroups(places, {}, { allocator });
    const members = await everything(place, actors[0]);
    const first = members.slice(0, 3);
    const held = first.map(({ requestId }) => outcome(requestId, "held", ended(5)));
    await place.report(learner, { outcomes: held });
    await everything(place, actors[1]);
    expect(known).toEqual([undefined, undefined, undefined, undefined]);
    const trained = first.map(({ requestId }) => outcome(requestId, "trained", ended(5)));
    await place.report(learner, { policyVersion: 1, outcomes: trained });
    await everything(place, actors[1]);
    expect(known).toEqual([undefined, undefined, undefined, undefined, 3]);
    expect(readBooks(places.folder).history).toMatchObject({
      tasks: 1,
      episodes: 3,
      meanReturn: 5,
      meanLength: 5,
    });
  });

  it("outlives the coordinator", async () => {
    const { place, learner, actors } = await workingGroups(places);
    const members = await everything(place, actors[0]);
    const outcomes = members.map(({ requestId }) => outcome(requestId, "held", ended(8, 2)));
    await place.report(learner, { outcomes });
    const before = readBooks(places.folder).history;
    await place.restart();
    expect(readBooks(places.folder).history).toEqual(before);
    expect(before).toMatchObject({ attempts: 6, episodes: 6, meanReturn: 2, meanLength: 8 });
  });
});
