/** The coordinator's state as metrics: what is cheap at every look, what takes reading the books now and then. */
import type { CoordinatorMetrics } from "../../core/telemetry/metrics.js";
import type { Books, Count, Phase } from "../../core/transport/transport.js";
import { imbalanceOf, sumOf } from "./books.js";
import type { Leases } from "./leases.js";

/** A label has few values: a larger fleet is watched by the actors' own metrics. */
const PLACES_SHOWN = 64;

export interface Situation {
  readonly phase: Phase;
  readonly actors: number;
  readonly watchers: number;
  readonly waitingSeats: number;
  readonly pendingSteps: number;
  readonly limitSteps: number;
  readonly pausedSeconds: number;
}

function each(counts: Readonly<Record<string, Count>>, what: keyof Count): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).map(([reason, count]) => [reason, count[what]]));
}

export class Gauges {
  constructor(private readonly metrics: CoordinatorMetrics) {}

  show(situation: Situation): void {
    const { metrics } = this;
    metrics.phase.set(situation.phase);
    metrics.registeredActors.set(situation.actors);
    metrics.watchers.set(situation.watchers);
    metrics.waitingSeats.set(situation.waitingSeats);
    metrics.pendingSteps.set(situation.pendingSteps);
    metrics.limitSteps.set(situation.limitSteps);
    metrics.pausedSeconds.set(situation.pausedSeconds);
  }

  showBooks(books: Books): void {
    const { metrics } = this;
    const { submitted, trained, stale, inFlight } = books;
    const [filtered, failed] = [sumOf(Object.values(books.filtered)), sumOf(Object.values(books.failed))];
    const columns = { submitted, trained, stale, filtered, failed, inFlight };
    metrics.booksRollouts.replace(each(columns, "rollouts"));
    metrics.booksSteps.replace(each(columns, "steps"));
    metrics.filteredRollouts.replace(each(books.filtered, "rollouts"));
    metrics.filteredSteps.replace(each(books.filtered, "steps"));
    metrics.failedRollouts.replace(each(books.failed, "rollouts"));
    metrics.failedSteps.replace(each(books.failed, "steps"));
    const imbalance = imbalanceOf(books);
    metrics.imbalanceRollouts.set(imbalance.rollouts);
    metrics.imbalanceSteps.set(imbalance.steps);
  }

  showActors(leases: Leases): void {
    const actors = leases.actors().filter(({ index }) => index < PLACES_SHOWN);
    this.metrics.quarantinedActors.set(leases.quarantined);
    this.metrics.actorSecondsSinceSeen.replace(
      Object.fromEntries(actors.map(({ name, secondsSinceSeen }) => [name, secondsSinceSeen])),
    );
    this.metrics.actorAppliedVersion.replace(
      Object.fromEntries(actors.map(({ name, appliedVersion }) => [name, appliedVersion])),
    );
  }
}
