/**
 * A service's membership in a run: registers, keeps the lease alive, registers again when the coordinator has
 * forgotten it. Always: at most one registration is under way, and after `close` no call is begun.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { settledWithin } from "../waiting.js";
import type { Control, HeartbeatRequest, Phase, RegisterReply, RegisterRequest } from "./transport.js";

/** Longest that leaving waits for a coordinator that may itself be gone: the lease would end anyway. */
const LEAVE_SECONDS = 2;

export interface SessionOptions {
  readonly control: Control;
  /** Called at each registration: says how things stand now. */
  readonly request: () => RegisterRequest;
  /** Called at each heartbeat. */
  readonly beat: () => Omit<HeartbeatRequest, "leaseId">;
}

export class Session {
  /** Called after each registration but the first, before anything else is sent under the new lease. */
  onRenewed: () => Promise<void> = () => Promise.resolve();
  /** Called at each heartbeat with where the learner is to be reached; empty = there is none. */
  onLearnerAddress: (address: string) => void = () => undefined;
  /** Newest that the coordinator said. */
  phase: Phase = "waiting";
  /** Resolves when the coordinator says that the run is finished. */
  readonly finished: Promise<void>;
  /** Rejects when the coordinator has stayed away for too long; never resolves. */
  readonly failed: Promise<never>;
  private fail: (error: unknown) => void = () => undefined;
  private finish: () => void = () => undefined;
  private renewing: Promise<void> | null = null;
  private readonly closing = new AbortController();

  private constructor(
    private readonly options: SessionOptions,
    private reply: RegisterReply,
  ) {
    this.finished = new Promise((resolve) => (this.finish = resolve));
    this.failed = new Promise((_, reject) => (this.fail = reject));
    this.failed.catch(() => undefined);
    void this.beat();
  }

  static async open(options: SessionOptions): Promise<Session> {
    return new Session(options, await options.control.register(options.request()));
  }

  get leaseId(): string {
    return this.reply.leaseId;
  }

  /** Learner only: the version to go on as. */
  get policyVersion(): number {
    return this.reply.policyVersion;
  }

  get index(): number {
    return this.reply.index;
  }

  /** Registers again in place of `lostLeaseId`, unless that has been done; callers at the same time share it. */
  async renew(lostLeaseId: string): Promise<void> {
    if (lostLeaseId !== this.leaseId) return;
    this.renewing ??= this.register().finally(() => (this.renewing = null));
    return this.renewing;
  }

  /** Ends the heartbeat and gives the lease back. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    await settledWithin(this.options.control.leave({ leaseId: this.leaseId }), LEAVE_SECONDS);
  }

  private async register(): Promise<void> {
    this.reply = await this.options.control.register(this.options.request());
    await this.onRenewed();
  }

  private async beat(): Promise<void> {
    const { control, beat } = this.options;
    const { signal } = this.closing;
    try {
      while (!signal.aborted) {
        const { leaseId } = this;
        const answer = await control.heartbeat({ leaseId, ...beat() });
        if (signal.aborted) return;
        if (answer.known) {
          this.phase = answer.phase;
          this.onLearnerAddress(answer.learnerAddress);
          if (answer.phase === "finished") this.finish();
        } else {
          await this.renew(leaseId);
        }
        await sleep(this.reply.heartbeatSeconds * 1000, undefined, { signal }).catch(() => undefined);
      }
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }
}
