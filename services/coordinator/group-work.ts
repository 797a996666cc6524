/**
 * Whole episodes in groups. A group is begun while there is room for it; its members, lost ones included, go to
 * whichever seat asks next.
 *
 * Always: a group ends. It is sealed when the learner has every member, or void whole at its deadline or once a
 * member was lost too often. Void is the coordinator's word: a group that is whole at the learner before it hears of
 * it is trained, and then it is sealed after all.
 */
import { branchComplaint } from "../../core/branches.js";
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import type { BranchPlan } from "../../core/types.js";
import type { Allocator, GroupOrder } from "./allocator.js";
import { Backlog } from "./backlog.js";
import type { GroupHook } from "./group-hook.js";
import { Groups, type Group } from "./groups.js";
import type { HistoryStore } from "./history.js";
import type { RequestRow, Requests, Work } from "./requests.js";
import type { RunState } from "./run-state.js";
import type { Store } from "./store.js";
import { limitSteps, type GateOptions } from "./work-gate.js";
import type { WorkSource } from "./work-source.js";

type GroupSettings = NonNullable<RunConfig["groups"]>;

/** Told once the transaction is made. */
export interface GroupEvents {
  /** Lengths of the members' episodes. */
  onSealed(group: number, lengths: readonly number[]): void;
  /** Lengths of the members that are there, and the steps so far of those that are not. */
  onVoid(group: number, why: string, lengths: readonly number[], stragglers: readonly number[]): void;
}

export interface GroupWorkOptions {
  readonly store: Store;
  readonly run: RunState;
  readonly requests: Requests;
  readonly settings: GroupSettings;
  readonly gate: GateOptions;
  /** Steps of a member's rollout before any is known. */
  readonly firstGuess: number;
  /** Of each member's episode; default null. */
  readonly branches?: BranchPlan | null;
  readonly allocator: Allocator;
  readonly hook: GroupHook;
  readonly history: HistoryStore;
  readonly events: GroupEvents;
  /** Steps so far, as the request's actor last said. */
  readonly runningSteps: (row: RequestRow) => number;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
}

/** Share of the time that is left in which a member must end: the rest is for delivering what was cut. */
const MEMBER_SHARE = 0.9;

/** Members whose mean length says how long the next will be: episodes change their length as the policy learns. */
const MEMBERS_REMEMBERED = 32;

/** States of a member that the learner has or had. */
const AT_LEARNER: readonly RequestRow["state"][] = ["held", "trained", "stale", "filtered"];

export class GroupWork implements WorkSource {
  private readonly backlog: Backlog;
  private readonly groups: Groups;
  private readonly branches: BranchPlan | null;
  /** When groups under way are void, in milliseconds of the clock. A new life gives them their time anew. */
  private readonly deadlines = new Map<number, number>();

  /** Throws RECIPE_INVALID where the branches cannot be played. */
  constructor(private readonly options: GroupWorkOptions) {
    this.branches = options.branches ?? null;
    const complaint = this.branches === null ? null : branchComplaint(this.branches);
    if (complaint !== null) throw new SkeinError("RECIPE_INVALID", `branches: ${complaint}`);
    this.backlog = new Backlog(options.store);
    this.groups = new Groups(options.store);
    for (const group of this.groups.underWay()) this.startClock(group);
  }

  get pendingSteps(): number {
    const { steps, unseen } = this.options.requests.inFlight;
    return steps + unseen * this.expectedSteps;
  }

  get limitSteps(): number {
    const { settings, gate } = this.options;
    return limitSteps(settings.size * this.expectedSteps, gate);
  }

  /** Members of a group that is begun are granted whatever is pending: else it might never be whole. */
  next(): Work | null {
    const { history, settings } = this.options;
    if (this.backlog.first() === null && this.hasRoom) this.beginNext();
    const waiting = this.backlog.first();
    if (waiting === null) return null;
    this.backlog.drop(waiting);
    history.countAttempt(waiting.task);
    const deadline = this.startClock(waiting.group);
    const left = Math.max(0.001, (deadline - this.options.now()) / 1000);
    return {
      ...waiting,
      seed: this.groups.find(waiting.group)!.seed,
      start: "reset",
      limits: { maxSteps: settings.maxSteps, deadlineSeconds: MEMBER_SHARE * left },
      branches: this.branches,
      policyVersion: this.options.run.now.policyVersion,
      exact: false,
    };
  }

  lost(row: RequestRow): void {
    const group = this.groups.find(row.group);
    if (group === null || group.state === "void") return;
    if (group.state === "sealed") this.reopen(row.group);
    const { maxAttempts } = this.options.settings;
    if (row.attempt >= maxAttempts) {
      this.makeVoid(group, `member ${row.member} was lost ${maxAttempts} times`, "voidedGroup");
    } else {
      this.backlog.put({ ...row, attempt: row.attempt + 1 });
    }
  }

  arrived(before: RequestRow, row: RequestRow): void {
    this.backlog.drop(row);
    this.learnFrom(before, row);
    const group = this.groups.find(row.group);
    if (group === null || group.state === "sealed") return;
    const there = this.atLearner(group, group.state === "void" ? ["trained"] : AT_LEARNER);
    if (there.length === group.size) this.seal(group, there);
  }

  reopened(): void {
    for (const group of this.groups.takenOver()) this.startClock(group);
  }

  folded(): void {
    const { run } = this.options;
    const forgotten = this.groups.forgetFinal();
    if (forgotten > 0) run.set({ forgottenGroups: run.now.forgottenGroups + forgotten });
  }

  batchBegins(): void {
    this.options.history.advance();
  }

  voidedGroups(): number[] {
    return this.groups.voidAtLearner(this.options.run.now.checkpointVersion);
  }

  tick(): void {
    for (const [number, deadline] of this.deadlines) {
      if (this.options.now() < deadline) continue;
      this.deadlines.delete(number);
      const group = this.groups.find(number);
      if (group?.state !== "open") continue;
      this.makeVoid(group, `not whole within ${this.options.settings.deadlineSeconds} s`, "deadline");
    }
  }

  private get expectedSteps(): number {
    const { membersSeen, memberSteps } = this.options.run.now;
    return membersSeen === 0 ? this.options.firstGuess : Math.max(1, Math.ceil(memberSteps));
  }

  /** A bundle that is begun is begun whole, whatever its steps: else a batch of it might never be. */
  private get hasRoom(): boolean {
    const { requests, settings, gate } = this.options;
    if (this.pendingSteps < this.limitSteps) return true;
    return gate.bundleGroups > 1 && requests.inFlight.requests % (gate.bundleGroups * settings.size) !== 0;
  }

  private beginNext(): void {
    const { run, allocator, history } = this.options;
    this.begin(allocator.next(run.now.lastGroup + 1, history.snapshot));
  }

  private begin(order: GroupOrder): void {
    const { run, settings } = this.options;
    const group = run.now.lastGroup + 1;
    run.set({ lastGroup: group });
    this.groups.begin(group, order, settings.size);
    for (let member = 0; member < settings.size; member++) {
      this.backlog.put({ task: order.task, group, member, attempt: 1 });
    }
  }

  /** When the group is void; its time begins with the first member that is granted. */
  private startClock(group: number): number {
    const { now, settings } = this.options;
    const deadline = this.deadlines.get(group) ?? now() + 1000 * settings.deadlineSeconds;
    this.deadlines.set(group, deadline);
    return deadline;
  }

  private reopen(group: number): void {
    this.groups.set(group, "open");
    this.startClock(group);
  }

  /** The learner saw this for the first time, or how it ended. */
  private learnFrom(before: RequestRow, row: RequestRow): void {
    const { run, history } = this.options;
    if (before.steps === null && row.steps !== null) {
      const { membersSeen, memberSteps } = run.now;
      const share = 1 / Math.min(membersSeen + 1, MEMBERS_REMEMBERED);
      run.set({ membersSeen: membersSeen + 1, memberSteps: memberSteps + share * (row.steps - memberSteps) });
      this.groups.recordLate(row.requestId, row.episodeLength ?? row.steps);
    }
    if (before.episodeReturn === null && row.episodeReturn !== null) {
      history.record(row.task, row.episodeReturn, lengthOf(row));
    }
  }

  /** An attempt of each member that is in one of these states. */
  private atLearner({ group }: Group, states: readonly RequestRow["state"][]): RequestRow[] {
    const byMember = new Map<number, RequestRow>();
    for (const row of this.options.requests.ofGroup(group)) {
      if (states.includes(row.state)) byMember.set(row.member, row);
    }
    return [...byMember.values()];
  }

  private seal(group: Group, rows: readonly RequestRow[]): void {
    const { hook, history, events, store } = this.options;
    this.groups.set(group.group, "sealed");
    this.deadlines.delete(group.group);
    if (group.announced === 1) return;
    this.groups.announce(group.group);
    const members = rows.map(({ member, steps, episodeReturn, episodeLength }) => ({
      member,
      steps: steps ?? 0,
      episodeReturn: episodeReturn ?? Number.NaN,
      episodeLength: episodeLength ?? Number.NaN,
    }));
    const { task, seed } = group;
    const orders = hook.sealed({ group: group.group, task, seed, members }, history.snapshot);
    for (const order of orders) this.begin(order);
    store.afterCommit(() => events.onSealed(group.group, rows.map(lengthOf)));
  }

  /** Its open requests fail for `reason`; what the learner holds of it is dropped once it hears of it. */
  private makeVoid(group: Group, why: string, reason: string): void {
    const { requests, runningSteps, events, store } = this.options;
    this.groups.set(group.group, "void");
    this.deadlines.delete(group.group);
    this.backlog.dropGroup(group.group);
    const stragglers: number[] = [];
    for (const row of requests.ofGroup(group.group)) {
      if (row.state !== "open") continue;
      const steps = runningSteps(row);
      stragglers.push(steps);
      this.groups.recordStraggler(row, steps);
      requests.settle(row, { state: "failed", reason, version: -1, finalFrom: null });
    }
    const lengths = this.atLearner(group, AT_LEARNER).map(lengthOf);
    store.afterCommit(() => events.onVoid(group.group, why, lengths, stragglers));
  }
}

function lengthOf({ episodeLength, steps }: RequestRow): number {
  return episodeLength ?? steps ?? 0;
}
