/** Rollouts that are held until they make a batch: members wait for their group, groups and fragments for the batch. */
import type { RolloutDelivery } from "../../core/transport/transport.js";
import type { Rollout } from "../../core/types.js";
import type { Summary } from "./books.js";
import type { Place } from "./ledger.js";

/** What is known of a rollout that is held, also once its columns have been moved away. */
export interface Held extends Summary {
  readonly place: Place;
  readonly rollout: Rollout;
  /** Of its steps' policy versions. */
  readonly oldestVersion: number;
  /** The learner's when it arrived. */
  readonly arrivalVersion: number;
  /** The newest. */
  delivery: RolloutDelivery;
  taken: boolean;
}

/** What enters a batch whole: a fragment, or the members of a group in order. */
export interface Unit {
  readonly held: readonly Held[];
  readonly steps: number;
  readonly oldestVersion: number;
}

function unitOf(held: readonly Held[]): Unit {
  return {
    held,
    steps: held.reduce((sum, { steps }) => sum + steps, 0),
    oldestVersion: held.reduce((oldest, held) => Math.min(oldest, held.oldestVersion), Infinity),
  };
}

export interface ReadyOptions {
  readonly batchSteps: number;
  /** Not null: a batch is the next fragment of each of these seats, in seat order. */
  readonly seats: number | null;
  /** Members of a group; null = fragments. */
  readonly groupSize: number | null;
  /** A batch has a multiple of this many units. */
  readonly bundle: number;
}

export class ReadyQueue {
  /** In the order in which they became whole. */
  private units: Unit[] = [];
  private steps = 0;
  /** Not complete: members by group. */
  private readonly groups = new Map<number, Held[]>();

  constructor(private readonly options: ReadyOptions) {}

  /** Returns what became whole with it. */
  add(held: Held): Unit | null {
    const { groupSize } = this.options;
    if (groupSize === null) return this.push(unitOf([held]));
    const { group } = held.rollout;
    const members = this.groups.get(group) ?? [];
    this.groups.set(group, members);
    members.push(held);
    if (members.length < groupSize) return null;
    this.groups.delete(group);
    return this.push(unitOf(members.sort((a, b) => a.rollout.member - b.rollout.member)));
  }

  /** Members of a group that is not complete, which are no longer held then. */
  giveUp(group: number): readonly Held[] {
    const members = this.groups.get(group) ?? [];
    this.groups.delete(group);
    return members;
  }

  /** Takes out what is whole and has an older version in it than `version`. */
  takeOlderThan(version: number): Held[] {
    const old = this.units.filter(({ oldestVersion }) => oldestVersion < version);
    if (old.length > 0) this.remove(old);
    return old.flatMap(({ held }) => held);
  }

  /** Takes out one that is whole. */
  drop(unit: Unit): void {
    this.remove([unit]);
  }

  /** The next batch, where there is one. */
  takeBatch(): Held[] | null {
    const { seats } = this.options;
    const batch = seats === null ? this.enough() : this.nextOfEach(seats);
    if (batch === null) return null;
    this.remove(batch);
    return batch.flatMap(({ held }) => held);
  }

  private enough(): Unit[] | null {
    if (this.steps < this.options.batchSteps) return null;
    let steps = 0;
    const last = this.units.findIndex((unit) => (steps += unit.steps) >= this.options.batchSteps);
    const { bundle } = this.options;
    const count = Math.ceil((last + 1) / bundle) * bundle;
    return count > this.units.length ? null : this.units.slice(0, count);
  }

  private nextOfEach(seats: number): Unit[] | null {
    const next = new Map<number, Unit>();
    for (const unit of this.units) {
      const { seat, group } = unit.held[0]!.rollout;
      const before = next.get(seat);
      if (before === undefined || group < before.held[0]!.rollout.group) next.set(seat, unit);
    }
    const batch = Array.from({ length: seats }, (_, seat) => next.get(seat));
    return batch.every((unit) => unit !== undefined) ? batch : null;
  }

  private push(unit: Unit): Unit {
    this.units.push(unit);
    this.steps += unit.steps;
    return unit;
  }

  private remove(units: readonly Unit[]): void {
    const gone = new Set(units);
    this.units = this.units.filter((unit) => !gone.has(unit));
    this.steps -= units.reduce((sum, { steps }) => sum + steps, 0);
  }
}
