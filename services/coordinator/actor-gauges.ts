/** How far each actor is, by its place in the fleet: a label that stays small however many come and go. */
import type { CoordinatorMetrics } from "../../core/telemetry/metrics.js";
import type { ActorStatus } from "../../core/transport/transport.js";

/** Places shown; a larger fleet is watched by the actors' own metrics. */
const PLACES = 64;

export class ActorGauges {
  private shown = new Set<number>();

  constructor(
    private readonly metrics: Pick<CoordinatorMetrics, "actorAppliedVersion" | "actorSecondsSinceSeen">,
  ) {}

  /** NaN for a place that somebody held before and nobody holds now. */
  show(actors: readonly ActorStatus[]): void {
    const present = actors.filter(({ index }) => index < PLACES);
    const places = new Set(present.map(({ index }) => index));
    for (const place of this.shown) if (!places.has(place)) this.set(place, Number.NaN, Number.NaN);
    for (const { index, appliedVersion, secondsSinceSeen } of present) {
      this.set(index, appliedVersion, secondsSinceSeen);
    }
    this.shown = places;
  }

  private set(place: number, appliedVersion: number, secondsSinceSeen: number): void {
    this.metrics.actorAppliedVersion.set(String(place), appliedVersion);
    this.metrics.actorSecondsSinceSeen.set(String(place), secondsSinceSeen);
  }
}
