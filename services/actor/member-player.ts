/**
 * Plays members of groups: each one episode in one instance, several at once.
 *
 * Always: a member's episode depends on its request and on the weights, never on the others that are played beside it:
 * the instance and the policy's draws have seeds of its own. It ends as a record, cut at its limits if need be, or is
 * given back with a reason: none is dropped for being long.
 */
import type { VectorEnvironment } from "../../core/env/environment.js";
import { forEachInstance, InstanceFailures } from "../../core/env/instances.js";
import { SkeinError } from "../../core/errors.js";
import type { PolicyRunner } from "../../core/policy/policy-runner.js";
import { deriveSeed, Random } from "../../core/random.js";
import { StopReason, type RolloutRequest } from "../../core/types.js";
import { EpisodeBuilder } from "./episode.js";
import type { LiveWeights } from "./live-weights.js";
import type { Assignment, Ended, Unplayed } from "./messages.js";

/** Longest that members are played before the main thread may bring others. */
const SLICE_MS = 50;

interface Member {
  readonly request: RolloutRequest;
  readonly episode: EpisodeBuilder;
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

  /** `progress` [E] says how many steps each instance's episode has. */
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
    this.cut();
    const until = performance.now() + SLICE_MS;
    while (this.ended.length === 0 && this.members.size > 0 && performance.now() < until) {
      this.weights.swapNewest();
      await this.step();
      this.cut();
    }
    const { ended } = this;
    this.ended = [];
    return ended;
  }

  private async begin(assignments: readonly Assignment[]): Promise<void> {
    const { environment, policy, runSeed } = this;
    for (const { instance, request, secondsLeft } of assignments) {
      const { group, member, attempt, seed, requestId } = request;
      const identity = { seed, trajectoryId: requestId % 2 ** 32, stateWidth: policy.stateWidth };
      const episode = new EpisodeBuilder(environment, instance, identity);
      const deadlineMs = performance.now() + 1000 * secondsLeft;
      this.members.set(instance, { request, episode, deadlineMs, inferenceMs: 0, environmentMs: 0 });
      this.randoms[instance] = new Random(deriveSeed(runSeed, "member", group, member, attempt));
      this.active[instance] = 1;
      Atomics.store(this.progress, instance, 0);
      policy.forget(instance);
    }
    const at = (k: number): number => assignments[k]!.instance;
    await this.sparing(at, async () => {
      await forEachInstance(assignments.length, (k) =>
        environment.resetInstance(at(k), assignments[k]!.request.seed),
      );
    });
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
    await this.sparing(
      (i) => i,
      async () => environment.step(policy.environmentActions, this.active),
    );
    const after = performance.now();
    for (const [i, member] of members) {
      member.inferenceMs += (between - before) / count;
      member.environmentMs += (after - between) / count;
      const stop = member.episode.outcome();
      Atomics.store(this.progress, i, member.episode.steps);
      if (stop !== null) this.finish(i, member, stop, false);
    }
  }

  /** Ends the episodes that have reached their limits. One whose time is up before its first step is given back. */
  private cut(): void {
    for (const [i, member] of this.members) {
      const { limits } = member.request;
      const { steps } = member.episode;
      const late = performance.now() >= member.deadlineMs;
      if (late && steps === 0) {
        this.giveBack(i, "deadline", `no step within ${limits.deadlineSeconds} s of the grant`);
      } else if (limits.maxSteps > 0 && steps >= limits.maxSteps) {
        this.finish(i, member, StopReason.truncated, true);
      } else if (late) {
        this.finish(i, member, StopReason.deadline, true);
      }
    }
  }

  private finish(i: number, member: Member, stop: StopReason, cut: boolean): void {
    const { request, episode, inferenceMs, environmentMs } = member;
    try {
      const columns = episode.finish(stop, cut);
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

  /** Runs `act`; instances that fail in it, numbered by `instanceOf`, give their members back. */
  private async sparing(instanceOf: (k: number) => number, act: () => Promise<void>): Promise<void> {
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
