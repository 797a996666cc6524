/** Runs a learner until its run is over or one of the things that it cannot do without has failed. */
import type { FinishReason } from "../../core/progress.js";
import { settledWithin } from "../../core/waiting.js";
import type { Watchdog } from "../../core/watchdog.js";
import type { Learner, Upstream } from "./learner.js";
import type { TrainingLine } from "./training-line.js";

/** Longest that a learner in which nothing goes on is waited for while it leaves a checkpoint. */
const LAST_WORDS_SECONDS = 10;

export interface Crew {
  readonly learner: Learner;
  readonly membership: Upstream & { readonly failed: Promise<never> };
  readonly training: Pick<TrainingLine, "failed">;
  readonly watchdog: Pick<Watchdog, "failed">;
}

/**
 * Throws what failed first. A learner that has lost its coordinator for good, or in which nothing goes on, still
 * writes its checkpoint before that; one that has lost its training thread or was shut out has none to write.
 */
export async function runToEnd(
  { learner, membership, training, watchdog }: Crew,
  signal: AbortSignal,
): Promise<FinishReason> {
  const lost = new AbortController();
  const failed = Promise.race([membership.failed, training.failed, watchdog.failed]);
  failed.catch((error: unknown) => lost.abort(error));
  const running = learner.run(membership, AbortSignal.any([signal, lost.signal]));
  const stuck = watchdog.failed.catch(() => settledWithin(running, LAST_WORDS_SECONDS));
  const reason = await Promise.race([running, stuck]);
  if (lost.signal.aborted) await failed;
  return reason ?? "stopped";
}
