/**
 * Plays members of groups: each one episode in one instance, several at once, and the branches of the episode after it
 * where they are asked for.
 *
 * Always: a member's rollout depends on its request and on the weights, never on the others that are played beside it:
 * the instance and the policy's draws have seeds of its own. It ends as a record, cut at its limits if need be, or is
 * given back with a reason: none is dropped for being long.
 */
import { branchRows } from "../../core/branches.js";
import type { VectorEnvironment } from "../../core/env/environment.js";
import { forEachInstance, InstanceFailures } from "../../core/env/instances.js";
import { SkeinError } from "../../core/errors.js";
import type { PolicyRunner } from "../../core/policy/policy-runner.js";
import { deriveSeed, Random } from "../../core/random.js";
import { StopReason, type RolloutRequest } from "../../core/types.js";
import { Branching, type Branch } from "./branching.js";
import { EpisodeBuilder, type RowStart } from "./episode.js";
import type { LiveWeights } from "./live-weights.js";
import type { Assignment, Ended, Unplayed } from "./messages.js";

/** Longest that members are played before the main thread may bring others. */
const SLICE_MS = 50;

interface Member {
  readonly request: RolloutRequest;
  readonly episode: EpisodeBuilder;
  readonly branching: Branching | null;
  /** On the clock of `performance.now`. */
  readonly deadlineMs: number;
  inferenceMs: number;
  environmentMs: number;
}

export class MemberPlayer {
  private readonly members = new Map<number, Member>();
  private readonly randoms: (Random | null)[];
  /** [E] */
  private readonly active: Uint8Array;
  private ended: Ended[] = [];

  /** `progress` [E] says how many steps each instance's episode has, its branches included. */
  constructor(
    private readonly environment: VectorEnvironment,
    private readonly policy: PolicyRunner,
    private readonly weights: LiveWeights,
    private readonly runSeed: number,
    private readonly progress: Uint32Array,
  ) {
    this.randoms = new Array<Random | null>(environment.count).fill(null);
    this.active = new Uint8Array(environment.count);
  }

  /** Begins `assignments` and plays on; resolves once an episode ended, or after a moment. */
  async play(assignments: readonly Assignment[]): Promise<readonly Ended[]> {
    await this.begin(assignments);
    await this.goOn();
    const until = performance.now() + SLICE_MS;
    while (this.ended.length === 0 && this.members.size > 0 && performance.now() < until) {
      this.weights.swapNewest();
      await this.keepStates();
      await this.step();
      await this.goOn();
    }
    const { ended } = this;
    this.ended = [];
    return ended;
  }

  private async begin(assignments: readonly Assignment[]): Promise<void> {
    const { environment, policy, runSeed } = this;
    for (const { instance, request, secondsLeft } of assignments) {
      const { group, member, attempt, seed, branches } = request;
      if (branches !== null && environment.spec.snapshots !== true) throw noSnapshots(environment.spec.id);
      policy.forget(instance);
      const own = deriveSeed(runSeed, "member", group, member, attempt);
      const row = { seed, trajectoryId: trajectoryOf(request, 0), memory: policy.memoryOf(instance) };
      this.members.set(instance, {
        request,
        episode: new EpisodeBuilder(environment, instance, { ...row, branch: null }, branches !== null),
        branching: branches === null ? null : new Branching(branches, own),
        deadlineMs: performance.now() + 1000 * secondsLeft,
        ...{ inferenceMs: 0, environmentMs: 0 },
      });
      this.randoms[instance] = new Random(own);
      this.active[instance] = 1;
      Atomics.store(this.progress, instance, 0);
    }
    const at = (k: number): number => assignments[k]!.instance;
    await this.sparing(at, assignments.length, (k) =>
      environment.resetInstance(at(k), assignments[k]!.request.seed),
    );
  }

  /** Keeps those of the states before the next step that branches will begin from. */
  private async keepStates(): Promise<void> {
    const { environment, policy } = this;
    const wanted: { instance: number; branching: Branching; slot: number; at: number }[] = [];
    for (const [instance, { episode, branching }] of this.members) {
      if (branching === null || episode.row?.branch !== null) continue;
      const at = episode.rowSteps;
      const slot = branching.slotOf(at);
      if (slot !== null) wanted.push({ instance, branching, slot, at });
    }
    if (wanted.length === 0) return;
    await this.sparing(
      (k) => wanted[k]!.instance,
      wanted.length,
      async (k) => {
        const { instance, branching, slot, at } = wanted[k]!;
        const memory = policy.memoryOf(instance);
        branching.keep(slot, { at, snapshot: await environment.snapshot!(instance), memory });
      },
    );
  }

  private async step(): Promise<void> {
    const { environment, policy, weights, members } = this;
    const count = members.size;
    const before = performance.now();
    await policy.decideEach(this.randoms);
    for (const { episode } of members.values()) {
      episode.decide(policy.actions, policy.logprobs, weights.version);
    }
    const between = performance.now();
    await this.sparingAll(async () => environment.step(policy.environmentActions, this.active));
    const after = performance.now();
    for (const [i, member] of members) {
      member.inferenceMs += (between - before) / count;
      member.environmentMs += (after - between) / count;
      member.episode.outcome();
      Atomics.store(this.progress, i, member.episode.steps);
    }
  }

  /**
   * Ends the rows that have reached their limits. A member whose row is over begins its next branch, or is done. One
   * whose time is up before its first step is given back; branches without a step are left out.
   */
  private async goOn(): Promise<void> {
    const branches: { instance: number; branch: Branch }[] = [];
    for (const [instance, member] of this.members) {
      const { request, episode, branching } = member;
      const late = performance.now() >= member.deadlineMs;
      if (late && episode.steps === 0) {
        const message = `no step within ${request.limits.deadlineSeconds} s of the grant`;
        this.giveBack(instance, "deadline", message);
        continue;
      }
      if (episode.row !== null && atLimit(member, episode.row)) episode.cut(StopReason.truncated);
      else if (episode.row !== null && late) episode.cut(StopReason.deadline);
      if (episode.row !== null) continue;
      const branch = late ? null : (branching?.take() ?? null);
      if (branch === null) this.finish(instance, member);
      else branches.push({ instance, branch });
    }
    if (branches.length > 0) await this.branchOff(branches);
  }

  private async branchOff(
    branches: readonly { readonly instance: number; readonly branch: Branch }[],
  ): Promise<void> {
    const seedOf = ({ seed }: Branch): number => deriveSeed(seed, "environment");
    for (const { instance, branch } of branches) {
      const { request, episode } = this.members.get(instance)!;
      const { at, memory } = branch.state;
      this.policy.recall(instance, memory);
      this.randoms[instance] = new Random(deriveSeed(branch.seed, "policy"));
      const trajectoryId = trajectoryOf(request, branch.row);
      episode.begin({ seed: seedOf(branch), trajectoryId, memory, branch: { at, number: branch.number } });
    }
    await this.sparing(
      (k) => branches[k]!.instance,
      branches.length,
      (k) => {
        const { instance, branch } = branches[k]!;
        return this.environment.restore!(instance, branch.state.snapshot, seedOf(branch));
      },
    );
  }

  private finish(i: number, member: Member): void {
    const { request, episode, inferenceMs, environmentMs } = member;
    try {
      const columns = episode.finish();
      const times = {
        inferenceSeconds: inferenceMs / 1000,
        environmentSeconds: environmentMs / 1000,
      };
      this.end(i, { request, columns, ...times });
    } catch (error) {
      if (!(error instanceof SkeinError && error.code === "ENVIRONMENT_FAILED")) throw error;
      this.giveBack(i, "environment", error.message);
    }
  }

  /** Runs `act` for 0 … count−1 at once; instances that fail in it, numbered by `instanceOf`, give their members back. */
  private sparing(
    instanceOf: (k: number) => number,
    count: number,
    act: (k: number) => void | Promise<void>,
  ): Promise<void> {
    return this.sparingAll(async () => forEachInstance(count, act), instanceOf);
  }

  private async sparingAll(
    act: () => Promise<void>,
    instanceOf: (k: number) => number = (i) => i,
  ): Promise<void> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof InstanceFailures)) throw error;
      for (const [k, { message }] of error.failures) this.giveBack(instanceOf(k), "environment", message);
    }
  }

  private giveBack(i: number, reason: Unplayed["reason"], message: string): void {
    const member = this.members.get(i);
    if (member !== undefined) this.end(i, { request: member.request, reason, message });
  }

  private end(i: number, result: Ended["result"]): void {
    this.members.delete(i);
    this.randoms[i] = null;
    this.active[i] = 0;
    this.ended.push({ instance: i, result });
  }
}

/** Steps before a branch count as its own for the limit of an episode. */
function atLimit({ request, episode, branching }: Member, { branch }: RowStart): boolean {
  const { maxSteps } = request.limits;
  const steps = episode.rowSteps;
  if (maxSteps > 0 && (branch?.at ?? 0) + steps >= maxSteps) return true;
  return branch !== null && branching !== null && branching.maxSteps > 0 && steps >= branching.maxSteps;
}

/** Different for each row of all requests that are under way. */
function trajectoryOf({ requestId, branches }: RolloutRequest, row: number): number {
  return ((requestId % 2 ** 32) * branchRows(branches) + row) % 2 ** 32;
}

function noSnapshots(id: string): SkeinError {
  return new SkeinError(
    "ENVIRONMENT_FAILED",
    `environment ${id}: expected one that offers snapshots, for the branches that the recipe plays, got one that does ` +
      "not; give it snapshot(), restore() and snapshots: true, or take another recipe",
  );
}
