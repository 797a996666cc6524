/** A learner's intake with everything it stands on, over small rollouts. */
import { box, discrete } from "../../core/env/spaces.js";
import { createLearnerMetrics } from "../../core/telemetry/metrics.js";
import type { Outcome } from "../../core/transport/transport.js";
import type { Checkpoint } from "../../core/weights/checkpoint.js";
import { Books } from "../../services/learner/books.js";
import { Intake, type IntakeOptions } from "../../services/learner/intake.js";
import { Ledger } from "../../services/learner/ledger.js";
import { RolloutCheck, type RolloutRules } from "../../services/learner/rollout-check.js";
import { Settlements } from "../../services/learner/settlements.js";

export const RULES: RolloutRules = {
  runId: "run",
  spec: {
    ...{ id: "Small", observationSpace: box([1], -10, 10), actionSpace: discrete(2) },
    ...{ maxEpisodeSteps: null, rewardThreshold: null },
  },
  stateWidth: 0,
  groupSize: null,
};

export interface KeptIntake {
  readonly intake: Intake;
  readonly ledger: Ledger;
  readonly settlements: Settlements;
  readonly metrics: ReturnType<typeof createLearnerMetrics>;
  /** The coordinator confirms everything; returns what it heard. */
  readonly report: () => readonly Outcome[];
}

/** Goes on from `from`; begun as `version`, unless that is null. */
export function intakeOf(
  { runId = RULES.runId, ...options }: Partial<IntakeOptions> & Partial<Pick<RolloutRules, "runId">> = {},
  version: number | null = 0,
  from:
    | (Pick<Checkpoint, "outcomes"> & {
        readonly state: Pick<Checkpoint["state"], "ledger" | "policyVersion">;
      })
    | null = null,
): KeptIntake {
  const ledger = new Ledger(from?.state.ledger);
  const settlements = new Settlements(from?.state.policyVersion ?? -1, from?.outcomes);
  const metrics = createLearnerMetrics({ processMetrics: false });
  const { groupSize = null } = options;
  const intake = new Intake({
    ...{ sampler: { batchSteps: 8 }, maxPolicyLag: 1, seats: null, groupSize, ack: "onTrain" as const },
    ...{ check: new RolloutCheck({ ...RULES, runId, groupSize }), ledger, metrics },
    books: new Books(ledger, settlements, metrics),
    progress: () => undefined,
    notice: () => undefined,
    ...options,
  });
  if (version !== null) intake.begin(version);
  const report = (): readonly Outcome[] => {
    const { outcomes, confirm } = settlements.unconfirmed();
    confirm();
    return outcomes;
  };
  return { intake, ledger, settlements, metrics, report };
}
