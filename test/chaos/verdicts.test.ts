import { describe, expect, it } from "vitest";
import type { FinishedEvent } from "../../core/progress.js";
import type { Books } from "../../core/transport/transport.js";
import type { LedgerState } from "../../core/weights/ledger-state.js";
import { survivingRollouts } from "./history.js";
import { booksBalance, exactlyOnce, gapsOf } from "./verdicts.js";

const count = (rollouts: number) => ({ rollouts, steps: 10 * rollouts });

const books: Books = {
  submitted: count(9),
  trained: count(3),
  stale: count(1),
  filtered: { voidedGroup: count(1) },
  failed: { leaseEnded: count(2), duplicate: count(1) },
  inFlight: count(1),
};

const ledger: LedgerState = {
  settled: {
    "seat-0": [[1, 2]],
    "seat-1": [
      [1, 1],
      [3, 3],
    ],
  },
  laterAttempts: [],
  voidedGroups: [],
  counts: { trained: count(3), stale: count(1), filtered: {}, failed: {} },
};

const finished: FinishedEvent = {
  ...{ event: "finished", reason: "solved", envSteps: 30, updates: 3, wallSeconds: 1 },
  ...{ meanReturn100: 480, policyVersion: 3 },
};

const trained = (version: number, ...rollouts: string[]): string =>
  JSON.stringify({ level: "debug", msg: "batch trained", version, rollouts });
const begins = (version: number): string => JSON.stringify({ level: "info", msg: "begins", version });

describe("the history of a learner", () => {
  it("forgets what was trained after the checkpoint that it went back to", () => {
    const log = [
      begins(0),
      trained(1, "a"),
      trained(2, "b"),
      trained(3, "c"),
      begins(1),
      trained(4, "b"),
      "not JSON",
    ];
    expect(survivingRollouts(log.join("\n"))).toEqual(["a", "b"]);
  });

  it("does not stumble over the line that a kill cut short", () => {
    expect(survivingRollouts(`${trained(1, "a")}\n{"msg":"batch tra`)).toEqual(["a"]);
  });
});

describe("the verdicts", () => {
  it("are content with books that balance, and say by how much others do not", () => {
    expect(booksBalance(books)).toEqual([]);
    expect(booksBalance({ ...books, submitted: count(10) })[0]).toMatch(
      /^books: 10 submitted, 9 in the columns/,
    );
  });

  it("find nothing where log, ledger, books and weights agree", () => {
    expect(
      exactlyOnce(["r/seat-0/1/0/1", "r/seat-0/2/0/1", "r/seat-1/3/0/2"], ledger, books, finished),
    ).toEqual([]);
  });

  it("find work that was trained twice, by two attempts", () => {
    const survivors = ["r/seat-0/1/0/1", "r/seat-0/1/0/2", "r/seat-1/3/0/1"];
    expect(exactlyOnce(survivors, ledger, books, finished)).toEqual(["trained twice: r/seat-0/1/0/2"]);
  });

  it("find sources that disagree about rollouts and steps", () => {
    const findings = exactlyOnce(["r/seat-0/1/0/1"], ledger, books, { ...finished, envSteps: 40 });
    expect(findings).toEqual([
      'rollouts trained: the sources disagree: {"log":1,"ledger":3,"books":3}',
      'steps trained: the sources disagree: {"ledger":30,"books":30,"weights":40}',
    ]);
  });

  it("find more gaps than work in flight or ended for a reason explain", () => {
    expect(gapsOf(ledger)).toBe(1);
    const survivors = ["r/seat-0/1/0/1", "r/seat-0/2/0/1", "r/seat-1/3/0/1"];
    const unexplained = { ...books, stale: count(0), filtered: {}, inFlight: count(0) };
    expect(exactlyOnce(survivors, ledger, unexplained, finished)).toEqual([
      "lost: 1 pieces of work are not settled, the books explain 0",
    ]);
    const rolledBack = { ...unexplained, failed: { rolledBack: count(1) } };
    expect(exactlyOnce(survivors, ledger, rolledBack, finished)).toEqual([]);
  });

  it("do without a log that is not whole", () => {
    expect(exactlyOnce(null, ledger, books, finished)).toEqual([]);
  });
});
