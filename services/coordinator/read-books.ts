/** What the books of a run say, read from its file beside a living coordinator or after it. */
import { join } from "node:path";
import { SkeinError } from "../../core/errors.js";
import type { Books, Count, Phase } from "../../core/transport/transport.js";
import { BookReader, imbalanceOf } from "./books.js";
import { countGroups, newestStragglers, type GroupCounts, type Straggler } from "./groups.js";
import { summarizeHistory, type HistorySummary } from "./history.js";
import { readRun, type RunRecord } from "./run-state.js";
import { Store } from "./store.js";
import { WeightsLog, type PublishedWeights } from "./weights-log.js";

/** The books' name within a run folder. */
const FILE = "coordinator.db";

/** Stragglers and manifests that are told. */
const NEWEST = 10;

export interface ServiceLine {
  readonly role: "actor" | "learner";
  readonly name: string;
  /** It had a lease when the file was last written. */
  readonly alive: boolean;
  /** Place in the fleet; −1 for learners. */
  readonly place: number;
  /** Written down every few seconds. */
  readonly lastSeen: Date;
  readonly appliedVersion: number;
  readonly appliedHash: string;
  readonly refusals: number;
  readonly quarantined: boolean;
}

export interface BookReport {
  readonly uuid: string;
  readonly runId: string;
  readonly phase: Phase;
  readonly policyVersion: number;
  readonly publishedVersion: number;
  readonly checkpointVersion: number;
  readonly updates: number;
  readonly envSteps: number;
  /** NaN before the first episode ends. */
  readonly meanReturn100: number;
  readonly pausedSeconds: number;
  readonly books: Books;
  /** Zero while the books balance. */
  readonly imbalance: Count;
  readonly services: readonly ServiceLine[];
  readonly groups: GroupCounts;
  /** Newest first. */
  readonly stragglers: readonly Straggler[];
  readonly history: HistorySummary;
  /** Newest first. */
  readonly weights: readonly PublishedWeights[];
}

interface ServiceRow extends Omit<ServiceLine, "alive" | "lastSeen" | "quarantined"> {
  readonly leaseId: string | null;
  readonly lastSeenUnixMs: number;
  readonly quarantined: number;
}

export function booksPath(runFolder: string): string {
  return join(runFolder, FILE);
}

/** Throws BOOKS_UNREADABLE where the folder has no books, or they cannot be read. */
export function readBooks(runFolder: string): BookReport {
  const path = booksPath(runFolder);
  const store = Store.openReadOnly(path);
  try {
    return store.snapshot(() => {
      const run = readRun(store);
      if (run === null) throw new SkeinError("BOOKS_UNREADABLE", `${path}: no run has been begun in it`);
      return report(store, run);
    });
  } finally {
    store.close();
  }
}

function report(store: Store, run: RunRecord): BookReport {
  const { uuid, runId, phase, policyVersion, publishedVersion, checkpointVersion } = run;
  const { updates, envSteps, pausedSeconds } = run;
  const books = new BookReader(store).read(run);
  return {
    ...{ uuid, runId, phase, policyVersion, publishedVersion, checkpointVersion },
    ...{ updates, envSteps, pausedSeconds, meanReturn100: run.meanReturn100 ?? Number.NaN },
    books,
    imbalance: imbalanceOf(books),
    services: store
      .prepare<ServiceRow>("SELECT * FROM services ORDER BY role, place, name")
      .all()
      .map(({ role, name, place, appliedVersion, appliedHash, refusals, ...row }) => ({
        ...{ role, name, place, appliedVersion, appliedHash, refusals },
        alive: row.leaseId !== null,
        lastSeen: new Date(row.lastSeenUnixMs),
        quarantined: row.quarantined === 1,
      })),
    groups: countGroups(store, run.forgottenGroups),
    stragglers: newestStragglers(store, NEWEST),
    history: summarizeHistory(store),
    weights: new WeightsLog(store).newest(NEWEST),
  };
}
