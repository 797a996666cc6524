/** What a batch leaves in the metrics once it is trained. */
import type { LearnerMetrics } from "../../core/telemetry/metrics.js";
import type { Batchful } from "./batchful.js";
import type { TrainedBatch } from "./trainer.js";

/** `updateSeconds`: from handing the batch over to having its weights. */
export function recordBatch(
  metrics: LearnerMetrics,
  { steps, policyLag, inFlightLag, inQueueLag }: Batchful,
  { updates, skipped, stats, seconds }: TrainedBatch,
  updateSeconds: number,
): void {
  metrics.updateSeconds.observe(updateSeconds);
  metrics.assembleSeconds.observe(seconds.assemble);
  metrics.evaluateSeconds.observe(seconds.evaluate);
  metrics.deriveSeconds.observe(seconds.derive);
  metrics.minibatchSeconds.observe(seconds.minibatch);
  metrics.engineUpdateSeconds.observe(seconds.update);
  metrics.envSteps.inc(steps);
  metrics.updates.inc(updates);
  metrics.skippedUpdates.inc(skipped);
  metrics.policyLagMean.set(policyLag.mean);
  metrics.policyLagMax.set(policyLag.max);
  metrics.inFlightLagMean.set(inFlightLag.mean);
  metrics.inFlightLagMax.set(inFlightLag.max);
  metrics.inQueueLagMean.set(inQueueLag.mean);
  metrics.inQueueLagMax.set(inQueueLag.max);
  for (const [name, value] of Object.entries(stats)) metrics.lossStats.set(name, value);
}
