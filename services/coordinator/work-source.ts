/** Where work comes from: the fragments of seats, or the members of groups. */
import type { RequestRow, Work } from "./requests.js";

/** Every call is part of a transaction. */
export interface WorkSource {
  /** Steps in flight: as the learner counted them, else as they are expected to become. */
  readonly pendingSteps: number;
  /** Pending steps at which no new work is begun. */
  readonly limitSteps: number;
  /** The next piece of work for a seat; null = none now. */
  next(seat: number): Work | null;
  /** Nobody has this work any more, and it is not settled. */
  lost(row: RequestRow, reason: string): void;
  /** A rollout of this work is at the learner, or settled: the request before and after the learner said so. */
  arrived(before: RequestRow, row: RequestRow): void;
  /** Another learner has taken over: what it must have anew has been opened again. */
  reopened(): void;
  /** Requests that are final were counted and deleted. */
  folded(): void;
  /** The learner has trained a version: another batch begins. */
  batchBegins(): void;
  /** Groups that will never be complete and of which the learner may hold members. */
  voidedGroups(): number[];
  /** To be called every now and then, within a transaction. */
  tick(): void;
}
