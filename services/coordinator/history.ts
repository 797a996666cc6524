/**
 * What is known of each task: how often it was issued, and returns and lengths of its episodes.
 *
 * Always: a snapshot is of the moment at which the batch under way began. What comes in meanwhile is kept apart
 * (`fresh`) until the next version, so that choices within a batch do not depend on who delivers first.
 */
import type { Statement, Store } from "./store.js";

/** Mean and spread of some numbers; NaN while there are too few. */
export interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Of the sample, with count − 1. */
  readonly variance: number;
}

export interface TaskHistory {
  /** Requests issued, every attempt of every member. */
  readonly attempts: number;
  readonly returns: Moments;
  /** Steps of an episode. */
  readonly lengths: Moments;
}

/** Holds still until the next batch begins. */
export interface HistorySnapshot {
  /** Tasks that were ever issued. */
  readonly tasks: number;
  /** null = never issued. */
  of(task: string): TaskHistory | null;
}

export interface HistoryStore {
  readonly snapshot: HistorySnapshot;
  countAttempt(task: string): void;
  /** `episodeReturn` and `episodeLength` of one member. */
  record(task: string, episodeReturn: number, episodeLength: number): void;
  /** A batch begins: what is known by now counts. */
  advance(): void;
}

interface Row {
  readonly task: string;
  readonly attempts: number;
  readonly returns: number;
  readonly returnMean: number;
  readonly returnM2: number;
  readonly lengths: number;
  readonly lengthMean: number;
  readonly lengthM2: number;
}

interface Sums {
  readonly count: number;
  readonly mean: number;
  readonly m2: number;
}

const one = (value: number): Sums => ({ count: 1, mean: value, m2: 0 });
const returnsOf = (row: Row): Sums => ({ count: row.returns, mean: row.returnMean, m2: row.returnM2 });
const lengthsOf = (row: Row): Sums => ({ count: row.lengths, mean: row.lengthMean, m2: row.lengthM2 });

/** Chan, Golub & LeVeque 1979, "Updating formulae and a pairwise algorithm for computing sample variances". */
function joined(a: Sums, b: Sums): Sums {
  const count = a.count + b.count;
  if (count === 0) return a;
  const delta = b.mean - a.mean;
  const mean = a.mean + (delta * b.count) / count;
  return { count, mean, m2: a.m2 + b.m2 + (delta * delta * a.count * b.count) / count };
}

function momentsOf({ count, mean, m2 }: Sums): Moments {
  return {
    count,
    mean: count === 0 ? Number.NaN : mean,
    variance: count < 2 ? Number.NaN : m2 / (count - 1),
  };
}

const EMPTY: Omit<Row, "task"> = {
  ...{ attempts: 0, returns: 0, returnMean: 0, returnM2: 0, lengths: 0, lengthMean: 0, lengthM2: 0 },
};

export class SqlHistory implements HistoryStore {
  readonly snapshot: HistorySnapshot;
  private readonly read: Statement<Row>;
  private readonly write: Statement<never>;
  private readonly fresh: Statement<Row>;
  private readonly clear: Statement<never>;

  constructor(store: Store) {
    this.read = store.prepare("SELECT * FROM history WHERE fresh = ? AND task = ?");
    this.write = store.prepare("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    this.fresh = store.prepare("SELECT * FROM history WHERE fresh = 1");
    this.clear = store.prepare("DELETE FROM history WHERE fresh = 1");
    const count = store.prepare<{ readonly tasks: number }>(
      "SELECT COUNT(*) AS tasks FROM history WHERE fresh = 0",
    );
    const of = (task: string): TaskHistory | null => {
      const row = this.read.get(0, task);
      if (row === undefined) return null;
      const { attempts } = row;
      return { attempts, returns: momentsOf(returnsOf(row)), lengths: momentsOf(lengthsOf(row)) };
    };
    this.snapshot = {
      get tasks() {
        return count.get()!.tasks;
      },
      of,
    };
  }

  countAttempt(task: string): void {
    this.add(1, { ...EMPTY, task, attempts: 1 });
  }

  record(task: string, episodeReturn: number, episodeLength: number): void {
    const [returns, lengths] = [one(episodeReturn), one(episodeLength)];
    this.add(1, {
      ...{ task, attempts: 0, returns: 1, returnMean: returns.mean, returnM2: 0 },
      ...{ lengths: 1, lengthMean: lengths.mean, lengthM2: 0 },
    });
  }

  advance(): void {
    for (const row of this.fresh.all()) this.add(0, row);
    this.clear.run();
  }

  private add(fresh: 0 | 1, row: Row): void {
    const before = this.read.get(fresh, row.task) ?? { ...EMPTY, task: row.task };
    const returns = joined(returnsOf(before), returnsOf(row));
    const lengths = joined(lengthsOf(before), lengthsOf(row));
    this.write.run(
      ...[row.task, fresh, before.attempts + row.attempts],
      ...[returns.count, returns.mean, returns.m2, lengths.count, lengths.mean, lengths.m2],
    );
  }
}

export interface HistorySummary {
  readonly tasks: number;
  readonly attempts: number;
  readonly episodes: number;
  /** Over all episodes; NaN before the first. */
  readonly meanReturn: number;
  readonly meanLength: number;
}

/** What came in since the newest batch began counts too. */
export function summarizeHistory(store: Store): HistorySummary {
  const row = store
    .prepare<{ readonly [K in keyof HistorySummary]: number | null }>(
      "SELECT COUNT(DISTINCT task) AS tasks, SUM(attempts) AS attempts, SUM(returns) AS episodes, " +
        "SUM(returnMean * returns) / SUM(returns) AS meanReturn, " +
        "SUM(lengthMean * lengths) / SUM(lengths) AS meanLength FROM history",
    )
    .get()!;
  return {
    tasks: row.tasks ?? 0,
    attempts: row.attempts ?? 0,
    episodes: row.episodes ?? 0,
    meanReturn: row.meanReturn ?? Number.NaN,
    meanLength: row.meanLength ?? Number.NaN,
  };
}
