/**
 * Fragments, seat by seat: each seat goes on with its environments, fragment after fragment. Lost ones are issued
 * again under their number, first.
 */
import type { RunConfig } from "../../core/config/schema.js";
import { deriveSeed } from "../../core/random.js";
import { Backlog, type Waiting } from "./backlog.js";
import type { RequestRow, Requests, Work } from "./requests.js";
import type { RunState } from "./run-state.js";
import type { Statement, Store } from "./store.js";
import { exactVersionOf, limitSteps, type GateOptions } from "./work-gate.js";
import type { WorkSource } from "./work-source.js";

const NO_LIMITS = { maxSteps: 0, deadlineSeconds: 0 };

export class FragmentWork implements WorkSource {
  private readonly backlog: Backlog;
  private readonly last: Statement<{ readonly lastGroup: number }>;
  private readonly advance: Statement<never>;
  private readonly highest: Statement<{ readonly group: number | null }>;
  private readonly steps: number;
  readonly limitSteps: number;

  constructor(
    store: Store,
    private readonly run: RunState,
    private readonly requests: Requests,
    private readonly config: RunConfig,
    gate: GateOptions,
  ) {
    this.backlog = new Backlog(store);
    this.last = store.prepare("SELECT lastGroup FROM seats WHERE task = ?");
    this.advance = store.prepare(
      "INSERT INTO seats (task, lastGroup) VALUES (?, ?) ON CONFLICT DO UPDATE SET lastGroup = excluded.lastGroup",
    );
    this.highest = store.prepare('SELECT MAX(lastGroup) AS "group" FROM seats');
    this.steps = config.actors.environments * config.actors.fragmentSteps;
    this.limitSteps = limitSteps(this.steps, gate);
  }

  get pendingSteps(): number {
    const { steps, unseen } = this.requests.inFlight;
    return steps + unseen * this.steps;
  }

  next(seat: number): Work | null {
    const { deterministic } = this.config;
    const run = this.run.now;
    if (!deterministic && this.pendingSteps >= this.limitSteps) return null;
    const task = `seat-${seat}`;
    const again = this.backlog.firstOfTask(task);
    const waiting = again ?? this.fresh(task);
    const exactVersion = exactVersionOf(waiting.group, run);
    if (deterministic && exactVersion > run.policyVersion) return null;
    if (again === null) this.advance.run(task, waiting.group);
    else this.backlog.drop(again);
    return {
      ...waiting,
      seed: deriveSeed(this.config.run.seed, task, waiting.group, waiting.attempt),
      start: "continue",
      limits: NO_LIMITS,
      branches: null,
      policyVersion: deterministic ? exactVersion : run.policyVersion,
      exact: deterministic,
    };
  }

  /** What was trained into weights that are gone is not collected again: any later fragment serves. */
  lost({ task, group, member, attempt }: RequestRow, reason: string): void {
    if (reason === "rolledBack" || group <= this.run.now.baseGroup) return;
    this.backlog.put({ task, group, member, attempt: attempt + 1 });
  }

  arrived(before: RequestRow): void {
    this.backlog.drop(before);
  }

  /** Deterministic batches take the same fragment of every seat: all begin anew above the highest. */
  reopened(): void {
    if (!this.config.deterministic) return;
    const baseGroup = Math.max(this.run.now.baseGroup, this.highest.get()?.group ?? 0);
    this.run.set({ baseGroup });
    this.backlog.dropUpTo(baseGroup);
  }

  folded(): void {
    // Nothing is kept of a fragment but its number.
  }

  batchBegins(): void {
    // What comes next does not depend on what came before.
  }

  voidedGroups(): number[] {
    return [];
  }

  tick(): void {
    // Fragments have no deadline.
  }

  private fresh(task: string): Waiting {
    const lastGroup = this.last.get(task)?.lastGroup ?? 0;
    return { task, group: Math.max(lastGroup, this.run.now.baseGroup) + 1, member: 0, attempt: 1 };
  }
}
