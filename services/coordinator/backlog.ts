/** Work that waits to be granted, lowest group first: what was lost, and what a group still lacks. */
import type { WorkKey } from "../../core/types.js";
import type { Statement, Store } from "./store.js";

export type Waiting = WorkKey & { readonly attempt: number };

const COLUMNS = 'task, "group", member, attempt';

export class Backlog {
  private readonly add: Statement<never>;
  private readonly firstOf: Statement<Waiting>;
  private readonly lowest: Statement<Waiting>;
  private readonly removeOne: Statement<never>;
  private readonly removeGroup: Statement<never>;
  private readonly removeUpTo: Statement<never>;

  constructor(store: Store) {
    this.add = store.prepare(
      `INSERT INTO backlog (${COLUMNS}) VALUES (?, ?, ?, ?) ` +
        "ON CONFLICT DO UPDATE SET attempt = MAX(attempt, excluded.attempt)",
    );
    this.firstOf = store.prepare(`SELECT ${COLUMNS} FROM backlog WHERE task = ? ORDER BY "group" LIMIT 1`);
    this.lowest = store.prepare(`SELECT ${COLUMNS} FROM backlog ORDER BY "group", member LIMIT 1`);
    this.removeOne = store.prepare('DELETE FROM backlog WHERE task = ? AND "group" = ? AND member = ?');
    this.removeGroup = store.prepare('DELETE FROM backlog WHERE "group" = ?');
    this.removeUpTo = store.prepare('DELETE FROM backlog WHERE "group" <= ?');
  }

  put({ task, group, member, attempt }: Waiting): void {
    this.add.run(task, group, member, attempt);
  }

  firstOfTask(task: string): Waiting | null {
    return this.firstOf.get(task) ?? null;
  }

  first(): Waiting | null {
    return this.lowest.get() ?? null;
  }

  drop({ task, group, member }: WorkKey): void {
    this.removeOne.run(task, group, member);
  }

  dropGroup(group: number): void {
    this.removeGroup.run(group);
  }

  dropUpTo(group: number): void {
    this.removeUpTo.run(group);
  }
}
