/** The run as a whole: one row, kept in memory too. Numbers in it only rise, but for phase, pause and progress. */
import { randomUUID } from "node:crypto";
import { runIdOf, type RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import type { Phase } from "../../core/transport/transport.js";
import type { SqlValue, Store } from "./store.js";

export interface RunRecord {
  /** Of these books: another file of the same run has another. */
  readonly uuid: string;
  readonly runId: string;
  /** The resolved run file, JSON. */
  readonly config: string;
  readonly phase: Phase;
  /** Of the learner whose run it is; empty before the first. */
  readonly incarnation: string;
  readonly learnerAddress: string;
  /** Newest that the learner has trained. */
  readonly policyVersion: number;
  /** Newest ever published; −1 = none. */
  readonly publishedVersion: number;
  /** Newest that a checkpoint holds; −1 = none. */
  readonly checkpointVersion: number;
  /** Version with which the present learner began. */
  readonly firstVersion: number;
  /** Highest fragment number that was used before it, where numbers begin anew with a learner; else 0. */
  readonly baseGroup: number;
  readonly updates: number;
  readonly envSteps: number;
  /** null = no episode has ended */
  readonly meanReturn100: number | null;
  readonly lastRequestId: number;
  readonly lastGroup: number;
  readonly submitted: number;
  /** Steps of the rollouts that the learner has seen. */
  readonly seenSteps: number;
  /** Seconds of pause that were left when this was written. */
  readonly pausedSeconds: number;
  /** Members of groups that the learner has seen, and the mean steps of the newest. */
  readonly membersSeen: number;
  readonly memberSteps: number;
  /** Sealed groups of which nothing but this count is kept. */
  readonly forgottenGroups: number;
}

const FRESH: Omit<RunRecord, "uuid" | "runId" | "config" | "lastRequestId"> = {
  phase: "waiting",
  incarnation: "",
  learnerAddress: "",
  policyVersion: 0,
  publishedVersion: -1,
  checkpointVersion: -1,
  firstVersion: 0,
  baseGroup: 0,
  updates: 0,
  envSteps: 0,
  meanReturn100: null,
  lastGroup: 0,
  submitted: 0,
  seenSteps: 0,
  pausedSeconds: 0,
  membersSeen: 0,
  memberSteps: 0,
  forgottenGroups: 0,
};

const SELECT = "SELECT * FROM run";

/** What may not change between two starts on the same books. */
const SAME = [
  "run.name",
  "run.seed",
  "environment",
  "model",
  "recipe.id",
  "groups",
  "deterministic",
] as const;

export class RunState {
  private readonly updates = new Map<string, (values: readonly SqlValue[]) => void>();

  private constructor(
    private readonly store: Store,
    private record: RunRecord,
  ) {
    const select = store.prepare<RunRecord>(SELECT);
    store.onRollback(() => (this.record = select.get()!));
  }

  /**
   * The run in the file, begun where there is none. `firstRequestId`: number after which a new run's requests are
   * counted. Throws BOOKS_MISMATCH where the file is of another run.
   */
  static open(store: Store, config: RunConfig, firstRequestId: number): RunState {
    return store.transaction(() => {
      const found = store.prepare<RunRecord>(SELECT).get();
      const text = JSON.stringify(config);
      if (found !== undefined) {
        expectSame(JSON.parse(found.config), config);
        const run = new RunState(store, found);
        run.set({ config: text });
        return run;
      }
      const record: RunRecord = {
        ...FRESH,
        uuid: randomUUID(),
        runId: runIdOf(config),
        config: text,
        lastRequestId: firstRequestId,
      };
      const columns = Object.keys(record);
      store
        .prepare(`INSERT INTO run (id, ${columns.join(", ")}) VALUES (1${", ?".repeat(columns.length)})`)
        .run(...(Object.values(record) as SqlValue[]));
      return new RunState(store, record);
    });
  }

  get now(): RunRecord {
    return this.record;
  }

  set(change: Partial<RunRecord>): void {
    const columns = Object.keys(change);
    const sql = `UPDATE run SET ${columns.map((column) => `${column} = ?`).join(", ")}`;
    let update = this.updates.get(sql);
    if (update === undefined) {
      const statement = this.store.prepare(sql);
      this.updates.set(sql, (update = (values) => void statement.run(...values)));
    }
    update(Object.values(change));
    this.record = { ...this.record, ...change };
  }
}

/** The run in the file, for readers; null = none begun. */
export function readRun(store: Store): RunRecord | null {
  return store.prepare<RunRecord>(SELECT).get() ?? null;
}

function valueAt(config: unknown, path: string): string {
  let value = config;
  for (const part of path.split("."))
    value = (value as Readonly<Record<string, unknown>> | undefined)?.[part];
  return JSON.stringify(value) ?? "nothing";
}

function expectSame(found: unknown, config: RunConfig): void {
  const path = SAME.find((at) => valueAt(found, at) !== valueAt(config, at));
  if (path === undefined) return;
  throw new SkeinError(
    "BOOKS_MISMATCH",
    `${path}: expected ${valueAt(found, path)} as in the books of this run folder, got ${valueAt(config, path)}; ` +
      "use the run file that the run was begun with, or another run folder",
  );
}
