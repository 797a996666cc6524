/** The groups of a run, and the members that void ones did without. */
import type { GroupOrder } from "./allocator.js";
import type { RequestRow } from "./requests.js";
import type { Statement, Store } from "./store.js";

/** open = not every member is at the learner; sealed = they are; void = they never will be together */
export type GroupState = "open" | "sealed" | "void";

export interface Group extends GroupOrder {
  readonly group: number;
  readonly size: number;
  readonly state: GroupState;
  /** 1 = what follows from it has been asked for. */
  readonly announced: 0 | 1;
}

/** A member that its group did without. */
export interface Straggler {
  readonly requestId: number;
  readonly task: string;
  readonly group: number;
  readonly member: number;
  readonly attempt: number;
  /** When the group was void; of the whole episode where it is final. */
  readonly steps: number;
  readonly final: 0 | 1;
}

export type GroupCounts = Readonly<Record<GroupState, number>>;

export class Groups {
  private readonly insert: Statement<never>;
  private readonly select: Statement<Group>;
  private readonly move: Statement<never>;
  private readonly announceOne: Statement<never>;
  private readonly inState: Statement<{ readonly group: number }>;
  private readonly told: Statement<{ readonly group: number }>;
  private readonly reopen: Statement<{ readonly group: number }>;
  private readonly rollBack: Statement<never>;
  private readonly forget: Statement<never>;
  private readonly late: Statement<never>;
  private readonly addStraggler: Statement<never>;

  constructor(store: Store) {
    this.insert = store.prepare(
      "INSERT INTO groups (\"group\", task, seed, size, state) VALUES (?, ?, ?, ?, 'open')",
    );
    this.select = store.prepare('SELECT * FROM groups WHERE "group" = ?');
    this.move = store.prepare('UPDATE groups SET state = ? WHERE "group" = ?');
    this.announceOne = store.prepare('UPDATE groups SET announced = 1 WHERE "group" = ?');
    this.inState = store.prepare(
      'SELECT "group" FROM groups WHERE state = \'open\' AND "group" IN (SELECT "group" FROM requests)',
    );
    this.told = store.prepare(
      'SELECT DISTINCT g."group" FROM requests r JOIN groups g USING ("group") ' +
        "WHERE r.state IN ('open', 'held') AND r.state = 'held' AND g.state = 'void' " +
        'UNION SELECT DISTINCT g."group" FROM requests r JOIN groups g USING ("group") ' +
        "WHERE r.finalFrom > ? AND r.state = 'filtered' AND g.state = 'void' ORDER BY 1",
    );
    this.reopen = store.prepare(
      "UPDATE groups SET state = 'open' WHERE state = 'sealed' AND \"group\" IN " +
        '(SELECT "group" FROM requests WHERE state = \'open\') RETURNING "group"',
    );
    this.rollBack = store.prepare(
      "UPDATE groups SET state = 'void' WHERE state = 'sealed' AND \"group\" IN " +
        "(SELECT \"group\" FROM requests WHERE state = 'failed' AND reason = 'rolledBack')",
    );
    this.forget = store.prepare(
      'DELETE FROM groups WHERE state = \'sealed\' AND "group" NOT IN (SELECT "group" FROM requests)',
    );
    this.addStraggler = store.prepare(
      'INSERT OR REPLACE INTO stragglers (requestId, task, "group", member, attempt, steps, final) ' +
        "VALUES (?, ?, ?, ?, ?, ?, 0)",
    );
    this.late = store.prepare("UPDATE stragglers SET steps = ?, final = 1 WHERE requestId = ?");
  }

  begin(group: number, { task, seed }: GroupOrder, size: number): void {
    this.insert.run(group, task, seed, size);
  }

  find(group: number): Group | null {
    return this.select.get(group) ?? null;
  }

  set(group: number, state: GroupState): void {
    this.move.run(state, group);
  }

  announce(group: number): void {
    this.announceOne.run(group);
  }

  /** Open ones of which at least one member was granted. */
  underWay(): number[] {
    return this.inState.all().map(({ group }) => group);
  }

  /** Void ones that the learner may hold members of, or may forget to have dropped if it goes back to a checkpoint. */
  voidAtLearner(checkpointVersion: number): number[] {
    return this.told.all(checkpointVersion).map(({ group }) => group);
  }

  /** Another learner has come: which sealed ones are open again; what was trained in vain is void. */
  takenOver(): number[] {
    this.rollBack.run();
    return this.reopen.all().map(({ group }) => group);
  }

  /** Those of which every request is final and counted; returns how many. */
  forgetFinal(): number {
    return this.forget.run();
  }

  recordStraggler({ requestId, task, group, member, attempt }: RequestRow, steps: number): void {
    this.addStraggler.run(requestId, task, group, member, attempt, steps);
  }

  /** What a straggler became, once its rollout is there. */
  recordLate(requestId: number, steps: number): void {
    this.late.run(steps, requestId);
  }
}

/** `forgotten`: sealed groups that are not in the table any more. */
export function countGroups(store: Store, forgotten: number): GroupCounts {
  const counts = { open: 0, sealed: forgotten, void: 0 };
  const rows = store
    .prepare<{ readonly state: GroupState; readonly count: number }>(
      "SELECT state, COUNT(*) AS count FROM groups GROUP BY state",
    )
    .all();
  for (const { state, count } of rows) counts[state] += count;
  return counts;
}

/** Newest first. */
export function newestStragglers(store: Store, count: number): Straggler[] {
  return store.prepare<Straggler>("SELECT * FROM stragglers ORDER BY requestId DESC LIMIT ?").all(count);
}
