/**
 * What the calls change: who is alive, what is granted, what became of it. Every method is one transaction, or part
 * of one; when it returns, a coordinator that is killed goes on from there.
 */
import { branchRows } from "../../core/branches.js";
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError } from "../../core/errors.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import type { AcquireRequest, RegisterRequest, ReportRequest } from "../../core/transport/transport.js";
import type { BranchPlan, RolloutRequest } from "../../core/types.js";
import { uniformAllocator, type Allocator } from "./allocator.js";
import { FragmentWork } from "./fragment-work.js";
import { nothingFollows, type GroupHook } from "./group-hook.js";
import { GroupWork, type GroupEvents } from "./group-work.js";
import { SqlHistory } from "./history.js";
import { Leases, type Lease } from "./leases.js";
import { Outcomes } from "./outcomes.js";
import { Requests, requestOf, type RequestRow } from "./requests.js";
import { RunState } from "./run-state.js";
import type { Statement, Store } from "./store.js";
import { Takeover } from "./takeover.js";
import type { WorkSource } from "./work-source.js";

/**
 * What a method decides before training; by default tasks are drawn at random, nothing follows from a group and episodes
 * have the branches of the recipe, if any.
 */
export interface Method {
  readonly allocator?: Allocator;
  readonly hook?: GroupHook;
  readonly branches?: BranchPlan;
}

export interface DispatchOptions {
  readonly config: RunConfig;
  readonly store: Store;
  readonly method: Method;
  readonly events: GroupEvents;
  /** Milliseconds of a steady clock. */
  readonly now: () => number;
}

/** What a report brought besides outcomes. */
export interface Reported {
  /** Living actors that are in quarantine now, their leases ended. */
  readonly quarantined: readonly Lease[];
}

/** A given reason that is not a word fit for a label. */
const UNNAMED_REASON = "environment";

export class Dispatch {
  readonly run: RunState;
  readonly leases: Leases;
  readonly requests: Requests;
  readonly work: WorkSource;
  readonly outcomes: Outcomes;
  readonly takeover: Takeover;
  private readonly abandoned: Statement<RequestRow>;
  private readonly recalled: Statement<RequestRow>;
  private readonly inFlight: Statement<RequestRow>;
  /** When what nobody has any more is given up; null = there is no such thing. */
  private abandonedUntil: number | null = null;
  private recalledUntil: number | null = null;

  constructor(private readonly options: DispatchOptions) {
    const { config, store, now } = options;
    // Without a file the numbers of an earlier life are not known: the clock is above them.
    this.run = RunState.open(store, config, store.isFile ? 0 : 1000 * Date.now());
    this.leases = new Leases(store, config.coordinator.leaseSeconds, now);
    this.requests = new Requests(store, this.run);
    this.work = this.createWork();
    this.outcomes = new Outcomes(this.requests, this.run, this.work);
    this.takeover = new Takeover(store, this.run, this.requests, this.work, config.learner.ack);
    this.abandoned = store.prepare(
      "SELECT * FROM requests WHERE state = 'open' AND leaseId NOT IN " +
        "(SELECT leaseId FROM services WHERE leaseId IS NOT NULL)",
    );
    // A learner had these.
    this.recalled = store.prepare("SELECT * FROM requests WHERE state = 'open' AND steps IS NOT NULL");
    this.inFlight = store.prepare("SELECT * FROM requests WHERE state IN ('open', 'held')");
    this.awaitDelivery();
  }

  register(request: RegisterRequest): { readonly lease: Lease; readonly tookOver: boolean } {
    const { config } = this.options;
    const { role, index } = request;
    expectSensible(request);
    if (role === "learner") this.takeover.expectPresent(`register ${request.name}`, request.incarnation);
    if (role === "actor" && index !== null && config.deterministic && index >= config.actors.processes) {
      throw new SkeinError(
        "REFUSED",
        `register: expected an index below actors.processes (${config.actors.processes}) in a deterministic run, got ${index}`,
      );
    }
    const { lease, replaced } = this.leases.add(request);
    for (const old of replaced) this.release(old);
    if (role === "actor") return { lease, tookOver: false };
    const tookOver = this.takeover.register(request);
    if (tookOver) this.awaitDelivery();
    this.run.set({ phase: "running", learnerAddress: request.dataAddress });
    return { lease, tookOver };
  }

  /** What a lease was granted and did not deliver is free again. The lease itself is gone already. */
  release(lease: Lease): number {
    if (lease.role === "learner") {
      if (this.run.now.phase === "running") this.run.set({ phase: "waiting" });
      return 0;
    }
    const open = this.requests.openOf(lease.id);
    for (const row of open) this.outcomes.fail(row, "leaseEnded");
    return open.length;
  }

  giveBack(lease: Lease, failed: AcquireRequest["failed"]): void {
    for (const { requestId, reason } of failed) {
      const row = this.requests.find(requestId);
      if (row?.state !== "open" || row.leaseId !== lease.id) continue;
      this.outcomes.fail(row, /^[A-Za-z]{1,32}$/.test(reason) ? reason : UNNAMED_REASON);
    }
  }

  /** What the seat has not heard of, then new work where `more` may be granted; at most `capacity` of both. */
  offer(lease: Lease, request: AcquireRequest, more: boolean): RolloutRequest[] {
    const { seat, capacity, lastRequestId } = request;
    const offered = this.requests.grantedBeyond(lease.id, seat, lastRequestId, capacity).map(requestOf);
    while (more && offered.length < capacity) {
      const work = this.work.next(seat);
      if (work === null) break;
      offered.push(this.requests.grant(work, { actor: lease.name, leaseId: lease.id, seat }));
    }
    return offered;
  }

  report(request: ReportRequest): Reported {
    const run = this.run.now;
    const checkpointVersion = Math.max(run.checkpointVersion, request.checkpointVersion);
    this.run.set({
      // A late report of a learner that is done does not set its run going again; registering does.
      ...(run.phase === "finished" ? {} : { phase: request.phase }),
      policyVersion: Math.max(run.policyVersion, request.policyVersion),
      checkpointVersion,
      updates: request.updates,
      envSteps: request.envSteps,
      meanReturn100: Number.isFinite(request.meanReturn100) ? request.meanReturn100 : null,
    });
    const quarantined: Lease[] = [];
    for (const outcome of request.outcomes) {
      const row = this.outcomes.apply(outcome);
      if (row === null || outcome.verdict !== "failed" || outcome.reason !== "refused") continue;
      const lease = this.countRefusal(row.actor);
      if (lease !== null) quarantined.push(lease);
    }
    if (this.run.now.policyVersion > run.policyVersion) this.work.batchBegins();
    if (checkpointVersion > run.checkpointVersion) {
      this.requests.foldUpTo(checkpointVersion);
      this.work.folded();
    }
    if (request.phase === "finished" && run.phase !== "finished") {
      for (const row of this.inFlight.all()) this.outcomes.fail(row, "runEnded");
    }
    return { quarantined };
  }

  /**
   * Gives up what a learner had that is gone, and nobody delivers again: after `leaseSeconds` where its actor is gone
   * too, after `transport.reconnectSeconds` otherwise. If it comes after all, it counts.
   */
  sweep(): void {
    const now = this.options.now();
    if (this.abandonedUntil !== null && now >= this.abandonedUntil) {
      for (const row of this.abandoned.all()) this.outcomes.fail(row, "leaseEnded");
      this.abandonedUntil = null;
    }
    if (this.recalledUntil !== null && now >= this.recalledUntil) {
      for (const row of this.recalled.all()) this.outcomes.fail(row, "rolledBack");
      this.recalledUntil = null;
    }
  }

  private createWork(): WorkSource {
    const { config, store, now, method, events } = this.options;
    const { run, requests, leases } = this;
    const { sampler } = resolveRecipe(config.recipe);
    const { batchSteps, bundleGroups = 1 } = sampler;
    const gate = { batchSteps, bundleGroups, maxPolicyLag: config.staleness.maxPolicyLag };
    const branches = method.branches ?? sampler.branches ?? null;
    const { groups: settings } = config;
    if (settings === null) return new FragmentWork(store, run, requests, config, gate);
    return new GroupWork({
      ...{ store, run, requests, settings, gate, branches, events, now },
      firstGuess:
        branchRows(branches) * (settings.maxSteps > 0 ? settings.maxSteps : config.actors.fragmentSteps),
      allocator: method.allocator ?? uniformAllocator(config.run.seed, settings.tasks),
      hook: method.hook ?? nothingFollows,
      history: new SqlHistory(store),
      runningSteps: ({ leaseId, requestId }) =>
        leases.find(leaseId)?.running.find((running) => running.requestId === requestId)?.steps ?? 0,
    });
  }

  private countRefusal(actor: string): Lease | null {
    if (this.leases.countRefusal(actor) < this.options.config.coordinator.quarantineAfter) return null;
    const lease = this.leases.quarantine(actor);
    if (lease !== null) this.release(lease);
    return lease;
  }

  private awaitDelivery(): void {
    const { config, now } = this.options;
    this.abandonedUntil = now() + 1000 * config.coordinator.leaseSeconds;
    this.recalledUntil = now() + 1000 * config.transport.reconnectSeconds;
  }
}

/** What strangers send is kept for as long as the run's books: it has to be short and whole. */
function expectSensible({ name, incarnation, dataAddress, policyVersion }: RegisterRequest): void {
  // eslint-disable-next-line no-control-regex
  if (!/^[^\u0000-\u001f]{1,128}$/.test(name)) {
    throw new SkeinError(
      "REFUSED",
      "register: expected a name of 1 to 128 characters, none of them a control",
    );
  }
  const longest = Math.max(incarnation.length, dataAddress.length);
  if (longest > 256 || !Number.isSafeInteger(policyVersion)) {
    throw new SkeinError(
      "REFUSED",
      `register ${name}: expected addresses and incarnation of at most 256 characters and a whole policy version, ` +
        `got ${longest} characters and version ${policyVersion}`,
    );
  }
}
