/** What an actor measures. */
import { DURATIONS, WEIGHTS_MODES, type MetricTable } from "./descriptor.js";

/** What an actor's seat can be at. */
export const SEAT_STAGES = ["work", "weights", "collect", "take", "settle"] as const;
export type SeatStage = (typeof SEAT_STAGES)[number];

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
    help: "Fetches of weights from the coordinator because the relay, or the store on the NATS server, failed to bring them",
  },
  weightSwaps: {
    name: "skein_actor_weight_swaps_total",
    type: "counter",
    unit: "swaps",
    help: "Times newer weights were applied",
  },
} as const satisfies MetricTable;
