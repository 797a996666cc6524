import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventually } from "../transport/helpers.js";
import { outcome, Place, seen, settle } from "./coordinator-place.js";

let folder: string;
let place: Place;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  folder = mkdtempSync(join(tmpdir(), "skein-commits-"));
  const run = { staleness: { maxPolicyLag: 99 }, transport: { reconnectSeconds: 10 } };
  place = await Place.open(run, join(folder, "coordinator.db"));
});

afterEach(async () => {
  await place.kill();
  rmSync(folder, { recursive: true, force: true });
  vi.useRealTimers();
});

/** Grants work until the file has no page left for more. */
async function fill(leaseId: string): Promise<{ value?: unknown }> {
  place.limitPages(2);
  for (let seat = 0; ; seat++) {
    const asked = seen(place.acquire(leaseId, seat, { capacity: 20 }));
    await settle();
    if (asked.value === undefined) return asked;
  }
}

describe("a coordinator whose disk is full", () => {
  it("answers nobody that it cannot keep its word to, says so, and goes on by itself once there is room", async () => {
    const learner = await place.learner();
    const actor = await place.actor();
    const asked = await fill(actor);
    const before = await place.books();
    expect(place.notices).toHaveLength(1);
    expect(place.notices[0]).toMatchObject({ level: "error", code: "BOOKS_UNAVAILABLE" });
    expect(place.notices[0]!.message).toContain("make room");
    expect(place.notices[0]!.message).toContain("the run waits, for 10 s at most");
    // Heartbeats write nothing: nobody is lost meanwhile.
    for (let second = 0; second < 8; second++) {
      await place.pass(1);
      for (const lease of [learner, actor]) expect((await place.beat(lease)).known).toBe(true);
      place.coordinator.tick();
    }
    expect(asked.value).toBeUndefined();
    expect(await place.books()).toEqual(before);
    place.limitPages(1_000_000);
    await eventually("the call is answered", () => asked.value !== undefined);
    expect(asked.value).toMatchObject({ known: true });
    expect(place.notices.map(({ message }) => message).at(-1)).toBe("the books can be written again");
    await place.report(learner, { policyVersion: 1, outcomes: [outcome(1, "trained")] });
    expect(await place.columns()).not.toHaveProperty("imbalance");
  });

  it("lets no report that waited count once another learner has taken over", async () => {
    const learner = await place.learner();
    const actor = await place.actor();
    for (let seat = 0; seat < 10; seat++) await place.acquire(actor, seat, { capacity: 15 });
    // Saying what became of so many requests takes pages of its own.
    place.limitPages(0);
    const { submitted } = await place.books();
    const outcomes = Array.from({ length: submitted.rollouts }, (_, k) => outcome(k + 1, "trained"));
    const reported = seen(place.report(learner, { policyVersion: 1, outcomes }));
    const taken = seen(place.takeOver({ incarnation: "two" }));
    await settle();
    expect([reported.value, taken.value?.policyVersion]).toEqual([undefined, 0]);
    place.limitPages(1_000_000);
    await eventually("the report is answered", () => reported.value !== undefined);
    expect(reported.value).toMatchObject({ known: false });
    expect((await place.books()).trained.rollouts).toBe(0);
    expect(await place.columns()).not.toHaveProperty("imbalance");
  });

  it("gives up with the reason after as long as services wait for it", async () => {
    await place.learner();
    await fill(await place.actor());
    const failed = place.coordinator.failed.catch((error: unknown) => error);
    await place.pass(10.5);
    expect(await failed).toMatchObject({ code: "BOOKS_UNAVAILABLE" });
  });
});
