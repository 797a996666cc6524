/** What becomes of groups, as metrics and, where it is not as it should be, as a line for people. */
import type { CoordinatorMetrics } from "../../core/telemetry/metrics.js";
import type { GroupEvents } from "./group-work.js";

export function groupEvents(metrics: CoordinatorMetrics, warn: (message: string) => void): GroupEvents {
  return {
    onSealed: (_group, lengths) => {
      metrics.sealedGroups.inc();
      for (const length of lengths) metrics.sealedEpisodeSteps.observe(length);
    },
    onVoid: (group, why, lengths, stragglers) => {
      metrics.voidedGroups.inc();
      for (const length of [...lengths, ...stragglers]) metrics.voidedEpisodeSteps.observe(length);
      for (const steps of stragglers) metrics.stragglerSteps.observe(steps);
      const missing =
        stragglers.length === 0
          ? "nobody was at work on it"
          : `${stragglers.length} members were under way, after ${stragglers.join(", ")} steps`;
      warn(`group ${group} is void: ${why}; ${lengths.length} members were there, ${missing}`);
    },
  };
}
