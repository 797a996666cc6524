/**
 * The work queue of a run's rollouts on the NATS server, and the learner's place at it. One stream a run, on disk:
 * what is full refuses more, and what is settled is deleted. Each frame of a rollout is one message; each sending of
 * a rollout has a subject of its own, so that its frames can be told and counted.
 */
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  nanos,
  NatsError,
  nuid,
  ReplayPolicy,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type NatsConnection,
  type StreamConfig,
  type StreamInfo,
} from "nats";
import type { RunPlace } from "./address.js";
import type { NatsSettings } from "./settings.js";

/** Seconds within which the server recognises a message that it has had. */
export const DUPLICATE_SECONDS = 120;
/** Seconds without a sign of life from the learner after which the server delivers a message again. */
const ACK_WAIT_SECONDS = 15;

/** Error codes of JetStream's API. */
const STREAM_NOT_FOUND = 10059;
const CONSUMER_NOT_FOUND = 10014;

function apiCode(error: unknown): number {
  return error instanceof NatsError ? (error.api_error?.err_code ?? 0) : 0;
}

/** Deadline included; throws an Error that says so where the server has no JetStream. */
export async function jetStreamOf(
  connection: NatsConnection,
  deadlineSeconds: number,
): Promise<JetStreamManager> {
  try {
    return await connection.jetstreamManager({ timeout: 1000 * deadlineSeconds });
  } catch (error) {
    if (!(error instanceof NatsError) || error.code !== "503") throw error;
    const advice = "start it with -js, or jetstream {} in its file";
    throw new Error(`the NATS server there has no JetStream: ${advice}`, { cause: error });
  }
}

/** When the stream was made, as the server says it; now, where it was not there. Other limits are put right. */
export async function ensureRolloutStream(
  manager: JetStreamManager,
  place: RunPlace,
  { nats }: NatsSettings,
): Promise<string> {
  const limits = { max_bytes: nats.maxBytes, num_replicas: nats.replicas };
  // Looked for first: a server that is asked for a stream it has counts its size twice against what it may store.
  const present = await streamInfo(manager, place);
  if (present === null) return (await make(manager, place, limits)).created;
  const { config, created } = present;
  if (config.max_bytes !== limits.max_bytes || config.num_replicas !== limits.num_replicas) {
    await manager.streams.update(place.rolloutStream, limits);
  }
  return created;
}

async function streamInfo(
  manager: JetStreamManager,
  { rolloutStream }: RunPlace,
): Promise<StreamInfo | null> {
  try {
    return await manager.streams.info(rolloutStream);
  } catch (error) {
    if (apiCode(error) === STREAM_NOT_FOUND) return null;
    throw error;
  }
}

async function make(
  manager: JetStreamManager,
  place: RunPlace,
  limits: Pick<StreamConfig, "max_bytes" | "num_replicas">,
): Promise<StreamInfo> {
  try {
    return await manager.streams.add({
      ...limits,
      name: place.rolloutStream,
      subjects: [`${place.rolloutPrefix}.>`],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      discard: DiscardPolicy.New,
      duplicate_window: nanos(1000 * DUPLICATE_SECONDS),
    });
  } catch (error) {
    // Another side was quicker.
    const present = await streamInfo(manager, place);
    if (present === null) throw error;
    return present;
  }
}

export async function deleteStream(manager: JetStreamManager, name: string): Promise<void> {
  try {
    await manager.streams.delete(name);
  } catch (error) {
    if (apiCode(error) !== STREAM_NOT_FOUND) throw error;
  }
}

export interface TakenPlace {
  readonly name: string;
  /** Nothing waits in the queue. */
  readonly empty: boolean;
}

/**
 * Takes the learner's place at the queue, and with it everything that is not settled, from its start. Only one has
 * it: the newest. `former` is what this learner called its place before; null where somebody else has taken it since.
 */
export async function takeConsumer(
  manager: JetStreamManager,
  { rolloutStream }: RunPlace,
  former: string | null,
): Promise<TakenPlace | null> {
  const present = (await manager.consumers.list(rolloutStream).next()).map(({ name }) => name);
  if (former !== null && present.length > 0 && !present.includes(former)) return null;
  for (const name of present) await manager.consumers.delete(rolloutStream, name);
  const name = `learner-${nuid.next()}`;
  const { num_pending: waiting } = await manager.consumers.add(rolloutStream, {
    durable_name: name,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(1000 * ACK_WAIT_SECONDS),
    deliver_policy: DeliverPolicy.All,
    replay_policy: ReplayPolicy.Instant,
    // What a learner may hold is bounded by the work granted and by what it asks for; a limit here could keep the
    // last member of a group from a learner that waits for it.
    max_ack_pending: -1,
    // Made anew on each connection, so there is nothing of it to keep.
    mem_storage: true,
  });
  return { name, empty: waiting === 0 };
}

/** Requests for messages that wait at the server; null where the place is lost. */
export async function waitingPulls(
  manager: JetStreamManager,
  { rolloutStream }: RunPlace,
  consumer: string,
): Promise<number | null> {
  try {
    return (await manager.consumers.info(rolloutStream, consumer)).num_waiting;
  } catch (error) {
    if ([CONSUMER_NOT_FOUND, STREAM_NOT_FOUND].includes(apiCode(error))) return null;
    throw error;
  }
}

/** How many messages with that subject the server keeps. */
export async function storedUnder(
  manager: JetStreamManager,
  { rolloutStream }: RunPlace,
  subject: string,
): Promise<number> {
  const { state } = await manager.streams.info(rolloutStream, { subjects_filter: subject });
  return state.subjects?.[subject] ?? 0;
}

/** What a publish was answered with. full = the server cannot keep more now. */
export interface PubAck {
  readonly kind: "stored" | "full" | "refused";
  readonly detail: string;
}

/**
 * Store failed (stream full, disk full, disk broken), and limits of account or server: all may pass. Names in
 * nats-server's errors.json: JSStreamStoreFailed, JSAccountResourcesExceeded, JSInsufficientResources,
 * JSStorageResourcesExceeded.
 */
const NOT_NOW: readonly number[] = [10077, 10002, 10023, 10047];

export function readPubAck(data: Uint8Array): PubAck {
  const { error } = JSON.parse(new TextDecoder().decode(data)) as {
    readonly error?: { readonly err_code: number; readonly description: string };
  };
  if (error === undefined) return { kind: "stored", detail: "" };
  return { kind: NOT_NOW.includes(error.err_code) ? "full" : "refused", detail: error.description };
}
