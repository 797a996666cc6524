/**
 * Weights in a key-value bucket of the NATS server: the coordinator puts each version there once, in full and as the
 * delta that the learner published, and any number of actors take it from the server. A version's frames lie under
 * `<version>.<form>.<index>`, `form` being `full` or the version that a delta is from. Only the newest few versions are
 * kept; an actor that needs another form or version asks the coordinator.
 *
 * Always: an announcement names the store only once the version lies there whole. Where the store does not take it, or
 * not in time, the announcement goes out without, and actors take that version from the coordinator.
 */
import { StorageType, type KV, type KvEntry, type NatsConnection } from "nats";
import { messageOf, SkeinError } from "../../errors.js";
import { unlessAborted } from "../../waiting.js";
import { unavailable } from "../retry.js";
import type { Closable, WeightsDelivery, WeightsRequest, WeightsSource } from "../transport.js";
import { DeliveryAssembler, framesOf } from "../weights-service.js";
import { noAnswer } from "../wire.js";
import { parsePlace, type RunPlace } from "./address.js";
import type { NatsSettings } from "./settings.js";
import { NatsLink } from "./link.js";
import { bodyLimit } from "./message.js";

/** Versions kept: an actor may be taking the one before the newest. */
const KEPT = 3;
const SUFFIX = "#weights";

/** Where the weights of the run at `place` are stored. */
export function storeAddress({ address }: RunPlace): string {
  return address + SUFFIX;
}

export function isStoreAddress(address: string): boolean {
  return address.endsWith(SUFFIX);
}

function formOf(parent: number | null): string {
  return parent === null ? "full" : String(parent);
}

/** A connection and the bucket there, made where it is missing. */
class Bucket implements Closable {
  private readonly link: NatsLink;
  private present: { readonly connection: NatsConnection; readonly kv: Promise<KV> } | null = null;

  constructor(
    readonly place: RunPlace,
    readonly options: NatsSettings,
  ) {
    const hooks = { onUp: () => Promise.resolve(), onDown: () => undefined };
    this.link = new NatsLink(place, options, hooks);
  }

  /** Rejects where there is no connection within `deadlineSeconds`. */
  async open(): Promise<{ readonly connection: NatsConnection; readonly kv: KV }> {
    const { deadlineSeconds, nats } = this.options;
    const connection = await this.link.reach(performance.now() + 1000 * deadlineSeconds);
    if (this.present?.connection !== connection) {
      const kv = connection
        .jetstream({ timeout: 1000 * deadlineSeconds })
        .views.kv(this.place.weightsBucket, {
          history: 1,
          replicas: nats.replicas,
          storage: StorageType.File,
        });
      this.present = { connection, kv };
      kv.catch(() => (this.present = null));
    }
    return { connection, kv: await this.present.kv };
  }

  close(): Promise<void> {
    return this.link.close();
  }
}

/** The coordinator's side. */
export class WeightsStore implements Closable {
  private readonly bucket: Bucket;
  private readonly versions: number[] = [];

  constructor(place: RunPlace, options: NatsSettings) {
    this.bucket = new Bucket(place, options);
  }

  /** Resolves once the server has all of it on disk. */
  async put(delivery: WeightsDelivery): Promise<void> {
    const { connection, kv } = await this.bucket.open();
    const { version, parent } = delivery.manifest;
    const chunkBytes = bodyLimit(connection, this.bucket.options.chunkBytes);
    let index = 0;
    for (const frame of framesOf(delivery, 1, chunkBytes)) {
      await kv.put(`${version}.${formOf(parent)}.${index++}`, frame);
    }
    if (this.versions.at(-1) !== version) this.versions.push(version);
    while (this.versions.length > KEPT) await this.drop(connection, this.versions.shift()!);
  }

  close(): Promise<void> {
    return this.bucket.close();
  }

  private async drop(connection: NatsConnection, version: number): Promise<void> {
    const { weightsBucket } = this.bucket.place;
    const manager = await connection.jetstreamManager({
      timeout: 1000 * this.bucket.options.deadlineSeconds,
    });
    await manager.streams.purge(`KV_${weightsBucket}`, { filter: `$KV.${weightsBucket}.${version}.>` });
  }
}

/** The actors' side: takes weights from the store at `address`, which an announcement named. */
export class StoredWeights implements WeightsSource, Closable {
  private readonly bucket: Bucket;

  constructor(
    private readonly address: string,
    options: NatsSettings,
  ) {
    this.bucket = new Bucket(parsePlace(address.slice(0, -SUFFIX.length)), options);
  }

  /** Rejects REFUSED where the store has no such version in a form of use, UNAVAILABLE where it cannot be reached. */
  async fetchWeights({ version, base }: WeightsRequest): Promise<WeightsDelivery> {
    const from = performance.now();
    try {
      const { kv } = await this.bucket.open();
      const delta = base === null ? null : await this.read(kv, version, base);
      const found = delta ?? (await this.read(kv, version, null));
      if (found !== null) return found;
    } catch (error) {
      if (error instanceof SkeinError) throw error;
      throw unavailable(this.address, performance.now() - from, messageOf(error));
    }
    throw new SkeinError("REFUSED", `fetch weights: version ${version} is not in the store any more`);
  }

  close(): Promise<void> {
    return this.bucket.close();
  }

  private async read(kv: KV, version: number, parent: number | null): Promise<WeightsDelivery | null> {
    const assembler = new DeliveryAssembler(this.bucket.options.maxMessageBytes);
    for (let index = 0; ; index++) {
      const entry = await this.get(kv, `${version}.${formOf(parent)}.${index}`);
      if (entry === null || entry.operation !== "PUT") return null;
      const delivery = assembler.take(entry.value);
      if (delivery !== null) return delivery;
    }
  }

  /** The library's own deadline does not hold for every way in which a connection breaks. */
  private async get(kv: KV, key: string): Promise<KvEntry | null> {
    const { deadlineSeconds } = this.bucket.options;
    const answer = kv.get(key).then((entry) => ({ entry }));
    const answered = await unlessAborted(answer, AbortSignal.timeout(1000 * deadlineSeconds));
    if (answered === null) throw noAnswer(this.address, "key-value get", deadlineSeconds);
    return answered.entry;
  }
}
