/**
 * Every metric of every service: name, type, unit, labels and meaning, one table a role. The registries (metrics.ts)
 * and docs/metrics.md (metrics-page.ts) both come from here.
 *
 * Names are `skein_<role>_<what>_<unit>`; durations are in seconds; counters end in `_total` and count from the start
 * of the process.
 */
import type { Phase } from "../transport/transport.js";

/** Upper bounds of the duration histograms, seconds. */
const DURATIONS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const;

/** Upper bounds of the histograms of lengths, steps. */
const LENGTHS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000,
] as const;

/** What an actor's seat can be at. */
export const SEAT_STAGES = ["work", "weights", "collect", "take", "settle"] as const;
export type SeatStage = (typeof SEAT_STAGES)[number];

const WEIGHTS_MODES = ["full", "delta"] as const;

const PHASES = ["waiting", "running", "finished"] as const satisfies readonly Phase[];

interface DescriptorBase {
  readonly name: string;
  readonly help: string;
  readonly unit: string;
}

/**
 * counter = only grows · gauge = one number · labelled = one gauge a value of `label` · state = one gauge a state, 1
 * for the present one and 0 for the others · histogram = counts below each bucket, sum and count. A counter or histogram
 * with a `label` is one for each value of it; those of `values` are there from the start.
 */
export type MetricDescriptor = DescriptorBase &
  (
    | { readonly type: "counter" }
    | { readonly type: "counter"; readonly label: string; readonly values: readonly string[] }
    | { readonly type: "gauge" }
    | { readonly type: "labelled"; readonly label: string }
    | { readonly type: "state"; readonly label: string; readonly states: readonly string[] }
    | { readonly type: "histogram"; readonly buckets: readonly number[] }
    | {
        readonly type: "histogram";
        readonly buckets: readonly number[];
        readonly label: string;
        readonly values: readonly string[];
      }
  );

export type MetricTable = Readonly<Record<string, MetricDescriptor>>;

export const coordinatorMetricTable = {
  registeredActors: {
    name: "skein_coordinator_registered_actors",
    type: "gauge",
    unit: "actors",
    help: "Actors whose lease is alive",
  },
  expiredLeases: {
    name: "skein_coordinator_expired_leases_total",
    type: "counter",
    unit: "leases",
    help: "Leases that ended without a heartbeat: a service died or was cut off",
  },
  grantedRequests: {
    name: "skein_coordinator_granted_requests_total",
    type: "counter",
    unit: "requests",
    help: "Rollout requests handed to actor seats",
  },
  policyVersion: {
    name: "skein_coordinator_policy_version",
    type: "gauge",
    unit: "version",
    help: "Newest policy version the coordinator holds",
  },
  publishedWeights: {
    name: "skein_coordinator_published_weights_total",
    type: "counter",
    unit: "snapshots",
    help: "Weights snapshots taken from the learner",
  },
  weightsReceivedBytes: {
    name: "skein_coordinator_weights_received_bytes_total",
    type: "counter",
    unit: "bytes",
    label: "mode",
    values: WEIGHTS_MODES,
    help: "Payloads of weights that the learner published",
  },
  weightsSentBytes: {
    name: "skein_coordinator_weights_sent_bytes_total",
    type: "counter",
    unit: "bytes",
    label: "mode",
    values: WEIGHTS_MODES,
    help: "Payloads of weights asked for by actors; with relays, few of them ask the coordinator",
  },
  watchers: {
    name: "skein_coordinator_watchers",
    type: "gauge",
    unit: "streams",
    help: "Open streams that follow the weights",
  },
  quarantinedActors: {
    name: "skein_coordinator_quarantined_actors",
    type: "gauge",
    unit: "actors",
    help: "Actors shut out of the run because the learner refused their rollouts",
  },
  actorSecondsSinceSeen: {
    name: "skein_coordinator_actor_last_seen_seconds",
    type: "labelled",
    unit: "seconds",
    label: "actor",
    help: "Time since an actor was last heard of; the first 64 places of the fleet",
  },
  actorAppliedVersion: {
    name: "skein_coordinator_actor_applied_version",
    type: "labelled",
    unit: "version",
    label: "actor",
    help: "Newest policy version that an actor uses; −1 = none yet; the first 64 places of the fleet",
  },
  waitingSeats: {
    name: "skein_coordinator_waiting_seats",
    type: "gauge",
    unit: "seats",
    help: "Actor seats that have asked for work and wait for it",
  },
  pendingSteps: {
    name: "skein_coordinator_pending_steps",
    type: "gauge",
    unit: "environment steps",
    help: "Steps of all requests in flight: as the learner counted them, else as expected",
  },
  limitSteps: {
    name: "skein_coordinator_limit_steps",
    type: "gauge",
    unit: "environment steps",
    help: "Pending steps at which no new work is granted",
  },
  pausedSeconds: {
    name: "skein_coordinator_paused_seconds",
    type: "gauge",
    unit: "seconds",
    help: "Time until work is handed out again; 0 = not paused",
  },
  booksRollouts: {
    name: "skein_coordinator_books_rollouts",
    type: "labelled",
    unit: "rollouts",
    label: "state",
    help: "The books: submitted = trained + stale + filtered + failed + inFlight",
  },
  booksSteps: {
    name: "skein_coordinator_books_steps",
    type: "labelled",
    unit: "environment steps",
    label: "state",
    help: "The same in steps of the rollouts that the learner has seen",
  },
  filteredRollouts: {
    name: "skein_coordinator_filtered_rollouts",
    type: "labelled",
    unit: "rollouts",
    label: "reason",
    help: "Rollouts left out of training, by reason",
  },
  filteredSteps: {
    name: "skein_coordinator_filtered_steps",
    type: "labelled",
    unit: "environment steps",
    label: "reason",
    help: "Steps left out of training, by reason",
  },
  failedRollouts: {
    name: "skein_coordinator_failed_rollouts",
    type: "labelled",
    unit: "rollouts",
    label: "reason",
    help: "Requests that came to nothing, by reason",
  },
  failedSteps: {
    name: "skein_coordinator_failed_steps",
    type: "labelled",
    unit: "environment steps",
    label: "reason",
    help: "Steps of delivered rollouts that came to nothing, by reason",
  },
  imbalanceRollouts: {
    name: "skein_coordinator_books_imbalance_rollouts",
    type: "gauge",
    unit: "rollouts",
    help: "submitted − (trained + stale + filtered + failed + inFlight); anything but 0 is a mistake in Skein",
  },
  imbalanceSteps: {
    name: "skein_coordinator_books_imbalance_steps",
    type: "gauge",
    unit: "environment steps",
    help: "The same in steps",
  },
  sealedGroups: {
    name: "skein_coordinator_sealed_groups_total",
    type: "counter",
    unit: "groups",
    help: "Groups of which the learner had every member",
  },
  voidedGroups: {
    name: "skein_coordinator_voided_groups_total",
    type: "counter",
    unit: "groups",
    help: "Groups void at their deadline, or because a member was lost too often",
  },
  sealedEpisodeSteps: {
    name: "skein_coordinator_sealed_episode_steps",
    type: "histogram",
    unit: "environment steps",
    buckets: LENGTHS,
    help: "Length of the episodes of sealed groups",
  },
  voidedEpisodeSteps: {
    name: "skein_coordinator_voided_episode_steps",
    type: "histogram",
    unit: "environment steps",
    buckets: LENGTHS,
    help: "Length of the episodes of void groups, as far as they had come; longer than those of sealed groups = a bias to short episodes",
  },
  stragglerSteps: {
    name: "skein_coordinator_straggler_steps",
    type: "histogram",
    unit: "environment steps",
    buckets: LENGTHS,
    help: "Steps so far of the members for which a void group did not wait",
  },
  phase: {
    name: "skein_coordinator_phase",
    type: "state",
    unit: "0 or 1",
    label: "phase",
    states: PHASES,
    help: "1 for the phase the run is in, 0 for the others",
  },
} as const satisfies MetricTable;

/** What becomes of a rollout that a learner has received; filtered and failed by their reason. */
const SETTLED = ["trained", "stale", "voidedGroup", "duplicate", "refused"] as const;

/** What a learner's loop is at, one at a time. */
export const LEARNER_STAGES = ["waiting", "training", "publishing", "checkpointing"] as const;
export type LearnerStage = (typeof LEARNER_STAGES)[number];

export const learnerMetricTable = {
  envSteps: {
    name: "skein_learner_env_steps_total",
    type: "counter",
    unit: "environment steps",
    help: "Environment steps trained on",
  },
  updates: {
    name: "skein_learner_updates_total",
    type: "counter",
    unit: "updates",
    help: "Optimiser steps made",
  },
  skippedUpdates: {
    name: "skein_learner_skipped_updates_total",
    type: "counter",
    unit: "updates",
    help: "Optimiser steps left out because loss or gradient was not finite; the last good weights stay",
  },
  policyVersion: {
    name: "skein_learner_policy_version",
    type: "gauge",
    unit: "version",
    help: "Policy version last published",
  },
  receivedRollouts: {
    name: "skein_learner_received_rollouts_total",
    type: "counter",
    unit: "rollouts",
    help: "Rollouts that arrived, without repeats of the same attempt; = settled + held",
  },
  repeatedRollouts: {
    name: "skein_learner_repeated_rollouts_total",
    type: "counter",
    unit: "rollouts",
    help: "Deliveries of an attempt that is held or settled already: repeats after a break, which change nothing",
  },
  settledRollouts: {
    name: "skein_learner_settled_rollouts_total",
    type: "counter",
    unit: "rollouts",
    label: "outcome",
    values: SETTLED,
    help: "Rollouts by what became of them: trained on; stale; filtered (voidedGroup); failed (duplicate, refused)",
  },
  settledSteps: {
    name: "skein_learner_settled_steps_total",
    type: "counter",
    unit: "environment steps",
    label: "outcome",
    values: SETTLED,
    help: "Steps of those rollouts",
  },
  staleRows: {
    name: "skein_learner_stale_rows_total",
    type: "counter",
    unit: "rows",
    help: "Rows of rollouts dropped because their policyLag exceeds staleness.maxPolicyLag",
  },
  refusedRollouts: {
    name: "skein_learner_refused_rollouts_total",
    type: "counter",
    unit: "rollouts",
    label: "reason",
    values: ["run", "key", "shape", "version", "notFinite", "range"],
    help: "Rollouts refused: of another run, ids or columns that contradict themselves, versions that do not exist, NaN or infinity, choices that do not exist",
  },
  heldRollouts: {
    name: "skein_learner_held_rollouts",
    type: "gauge",
    unit: "rollouts",
    help: "Rollouts that wait for their group or batch, or are being trained on",
  },
  heldSteps: {
    name: "skein_learner_held_steps",
    type: "gauge",
    unit: "environment steps",
    help: "Steps of those rollouts; near the capacity = the learner is the bottleneck",
  },
  heldStepsCapacity: {
    name: "skein_learner_held_steps_capacity",
    type: "gauge",
    unit: "environment steps",
    help: "Steps held at which senders get no room for more while there is a batch to train on",
  },
  rolloutBytes: {
    name: "skein_learner_rollout_bytes_total",
    type: "counter",
    unit: "bytes",
    help: "Encoded size of the rollouts that arrived",
  },
  seconds: {
    name: "skein_learner_seconds_total",
    type: "counter",
    unit: "seconds",
    label: "stage",
    values: LEARNER_STAGES,
    help: "Wall time of the learner's loop, by what it is at: waiting = for rollouts, training, publishing = weights and outcomes to the coordinator, checkpointing. It is at one of them at any time",
  },
  batchWaitSeconds: {
    name: "skein_learner_batch_wait_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Time the learner waited for a batch to fill; large = add actors",
  },
  updateSeconds: {
    name: "skein_learner_update_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Time to train on one batch, all epochs and minibatches, the way to the training thread and back included; large beside the wait = the learner is the bottleneck",
  },
  assembleSeconds: {
    name: "skein_learner_assemble_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Part of a batch's time: joining rollouts, observing trackers",
  },
  evaluateSeconds: {
    name: "skein_learner_evaluate_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Part of a batch's time: the engine, forward over the whole batch",
  },
  deriveSeconds: {
    name: "skein_learner_derive_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Part of a batch's time: deriving columns, choosing minibatches, loss and cotangents, outside the engine",
  },
  engineUpdateSeconds: {
    name: "skein_learner_engine_update_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Part of a batch's time: the engine, updates over all epochs and minibatches",
  },
  publishSeconds: {
    name: "skein_learner_publish_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Time to hand one weights snapshot to the coordinator",
  },
  weightsSentBytes: {
    name: "skein_learner_weights_sent_bytes_total",
    type: "counter",
    unit: "bytes",
    label: "mode",
    values: WEIGHTS_MODES,
    help: "Payloads of weights handed to the coordinator",
  },
  checkpointSeconds: {
    name: "skein_learner_checkpoint_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Time to write one checkpoint",
  },
  failedCheckpoints: {
    name: "skein_learner_failed_checkpoints_total",
    type: "counter",
    unit: "checkpoints",
    help: "Checkpoints that could not be written: the run goes on, an older one stays the newest",
  },
  lastCheckpointTimestamp: {
    name: "skein_learner_last_checkpoint_timestamp_seconds",
    type: "gauge",
    unit: "Unix seconds",
    help: "When the last checkpoint was written; 0 = none by this process",
  },
  meanReturn: {
    name: "skein_learner_mean_return",
    type: "gauge",
    unit: "reward",
    help: "Mean return of the last 100 training episodes (of fewer, while there are fewer); NaN before the first ends",
  },
  policyLagMean: {
    name: "skein_learner_policy_lag_mean_versions",
    type: "gauge",
    unit: "versions",
    help: "Mean policyLag of the rollouts of the last batch",
  },
  policyLagMax: {
    name: "skein_learner_policy_lag_max_versions",
    type: "gauge",
    unit: "versions",
    help: "Largest policyLag of the rollouts of the last batch",
  },
  inFlightLagMean: {
    name: "skein_learner_in_flight_lag_mean_versions",
    type: "gauge",
    unit: "versions",
    help: "Mean part of it that passed until arrival: version at arrival − oldest version",
  },
  inFlightLagMax: {
    name: "skein_learner_in_flight_lag_max_versions",
    type: "gauge",
    unit: "versions",
    help: "Largest part of it that passed until arrival: version at arrival − oldest version",
  },
  inQueueLagMean: {
    name: "skein_learner_in_queue_lag_mean_versions",
    type: "gauge",
    unit: "versions",
    help: "Mean part of it that passed at the learner: version at training − version at arrival",
  },
  inQueueLagMax: {
    name: "skein_learner_in_queue_lag_max_versions",
    type: "gauge",
    unit: "versions",
    help: "Largest part of it that passed at the learner: version at training − version at arrival",
  },
  lossStats: {
    name: "skein_learner_loss_stats",
    type: "labelled",
    unit: "as named",
    label: "name",
    help: "Loss terms and health of the last batch: policyLoss, valueLoss, entropy (nats), klK3 (nats), clipFraction …",
  },
} as const satisfies MetricTable;

export const actorMetricTable = {
  envSteps: {
    name: "skein_actor_env_steps_total",
    type: "counter",
    unit: "environment steps",
    help: "Environment steps taken, over all threads",
  },
  episodes: {
    name: "skein_actor_episodes_total",
    type: "counter",
    unit: "episodes",
    help: "Episodes ended, terminated or truncated",
  },
  rollouts: {
    name: "skein_actor_rollouts_total",
    type: "counter",
    unit: "rollouts",
    help: "Rollouts collected: fragments, or episodes of groups' members",
  },
  refusedRollouts: {
    name: "skein_actor_refused_rollouts_total",
    type: "counter",
    unit: "rollouts",
    help: "Rollouts that the learner refused; they are dropped",
  },
  resentRollouts: {
    name: "skein_actor_resent_rollouts_total",
    type: "counter",
    unit: "rollouts",
    help: "Rollouts sent once more because the learner's address had changed",
  },
  returnedRequests: {
    name: "skein_actor_returned_requests_total",
    type: "counter",
    unit: "requests",
    label: "reason",
    values: ["environment", "deadline"],
    help: "Requests given back to the coordinator: the environment failed, or the time was up before the first step",
  },
  rolloutBytes: {
    name: "skein_actor_rollout_bytes_total",
    type: "counter",
    unit: "bytes",
    help: "Size of the rollouts collected, before they are encoded",
  },
  seatSeconds: {
    name: "skein_actor_seat_seconds_total",
    type: "counter",
    unit: "seconds",
    label: "stage",
    values: SEAT_STAGES,
    help: "Wall time of all seats, by what they were at: work = waiting for the coordinator to give work, weights = for the weights it asks for, collect = playing, take = waiting for the learner to take the rollout before, settle = for room in actors.unsettledBytes. A seat is at one of them at any time",
  },
  unsettledRollouts: {
    name: "skein_actor_unsettled_rollouts",
    type: "gauge",
    unit: "rollouts",
    help: "Rollouts collected that the learner has not settled yet",
  },
  untakenRollouts: {
    name: "skein_actor_untaken_rollouts",
    type: "gauge",
    unit: "rollouts",
    help: "Those of them that the learner has not even taken: the queue",
  },
  unsettledBytes: {
    name: "skein_actor_unsettled_bytes",
    type: "gauge",
    unit: "bytes",
    help: "Size of the rollouts not settled",
  },
  unsettledCapacityBytes: {
    name: "skein_actor_unsettled_capacity_bytes",
    type: "gauge",
    unit: "bytes",
    help: "Size of unsettled rollouts at which the actor collects no more",
  },
  inferenceSeconds: {
    name: "skein_actor_inference_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Time spent in the policy network, per rollout",
  },
  environmentSeconds: {
    name: "skein_actor_environment_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Time spent stepping environments, per rollout",
  },
  sendWaitSeconds: {
    name: "skein_actor_send_wait_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    help: "Time from handing a rollout to the transport until the learner has taken it; large = back-pressure",
  },
  policyVersion: {
    name: "skein_actor_policy_version",
    type: "gauge",
    unit: "version",
    help: "Policy version last applied; −1 before the first",
  },
  weightsReceivedBytes: {
    name: "skein_actor_weights_received_bytes_total",
    type: "counter",
    unit: "bytes",
    label: "mode",
    values: WEIGHTS_MODES,
    help: "Payloads of weights that arrived, before they are checked",
  },
  weightsSentBytes: {
    name: "skein_actor_weights_sent_bytes_total",
    type: "counter",
    unit: "bytes",
    label: "mode",
    values: WEIGHTS_MODES,
    help: "Payloads of weights handed on to other actors",
  },
  weightsSyncSeconds: {
    name: "skein_actor_weights_sync_seconds",
    type: "histogram",
    unit: "seconds",
    buckets: DURATIONS,
    label: "mode",
    values: WEIGHTS_MODES,
    help: "Time from when the coordinator had a version to when it was checked and given to this actor's threads",
  },
  rejectedWeights: {
    name: "skein_actor_rejected_weights_total",
    type: "counter",
    unit: "payloads",
    help: "Payloads of weights that did not match their checksums or hashes and were thrown away",
  },
  relayFallbacks: {
    name: "skein_actor_relay_fallbacks_total",
    type: "counter",
    unit: "fetches",
    help: "Fetches of weights from the coordinator because the relay that was to bring them failed",
  },
  weightSwaps: {
    name: "skein_actor_weight_swaps_total",
    type: "counter",
    unit: "swaps",
    help: "Times newer weights were applied",
  },
} as const satisfies MetricTable;

/** What runs: 1, labelled. Every service has it. */
export const buildInfoDescriptor = {
  name: "skein_build_info",
  help: "1, labelled with the role, the version of Skein and the version of Node.js",
  unit: "always 1",
  labels: ["role", "version", "node"],
} as const;
