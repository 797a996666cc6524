/**
 * The learner's side of the rollout queue. Always: a rollout is handed over once to this learner, however often the
 * server delivers it; it is handed over whole; all its frames are settled together; nothing is settled that was
 * neither handed over nor given up. It asks the server for no more while `AHEAD_BYTES` are handed over and not taken.
 *
 * Each connection has a new place at the queue, which begins with everything unsettled: a break, a restarted server
 * and a restarted learner are the same case. What has been received stays known from one connection to the next.
 *
 * A rollout whose sender died half-way is given up `giveUpSeconds` after its newest frame, where the server has no
 * more frames of it. A living sender is done long before, or begins anew under another subject (rollout-sender.ts).
 */
import type { Msg, NatsConnection } from "nats";
import { messageOf } from "../../errors.js";
import { decodeRollout } from "../codec.js";
import { frameCodec } from "../frames.js";
import { unavailable } from "../retry.js";
import type { DeliveryHandler, Listening } from "../transport.js";
import { LinkBroken } from "../wire.js";
import { parsePlace, type RunPlace } from "./address.js";
import type { NatsSettings } from "./settings.js";
import { NatsLink } from "./link.js";
import { Parcel, type Verdict } from "./parcel.js";
import { QueuePlace, type Delivery } from "./queue-place.js";
import { ensureRolloutStream, jetStreamOf, takeConsumer } from "./rollout-stream.js";

/** Bytes handed over and not taken at which no more are asked for. */
const AHEAD_BYTES = 32 * 1024 * 1024;
/** How often and how long a receiver looks after what is not settled. */
export interface Pace {
  /** Seconds between two signs of life for what is held; a third of what the server waits for one. */
  readonly workingSeconds: number;
  /** Seconds after its newest frame at which half a rollout is given up; twice what a sender allows itself. */
  readonly giveUpSeconds: number;
}

const PACE: Pace = { workingSeconds: 5, giveUpSeconds: 60 };

const text = new TextEncoder();
const WORKING = text.encode("+WPI");
const WORDS: Readonly<Record<Verdict, Uint8Array>> = {
  "+ACK": text.encode("+ACK"),
  "+TERM": text.encode("+TERM"),
};

/**
 * Hands over what is in the run's queue at `address` and what comes. Throws UNAVAILABLE where the server was out of
 * reach for `reconnectSeconds`, CONFIG_INVALID on an address of another form.
 */
export async function receiveRollouts(
  onDelivery: DeliveryHandler,
  address: string,
  options: NatsSettings,
  pace: Pace = PACE,
): Promise<Listening> {
  const receiver = new NatsRolloutReceiver(parsePlace(address), onDelivery, options, pace);
  try {
    await receiver.start();
    return receiver;
  } catch (error) {
    await receiver.close();
    throw error;
  }
}

class NatsRolloutReceiver implements Listening {
  private readonly link: NatsLink;
  private readonly parcels = new Map<string, Parcel>();
  private place: QueuePlace | null = null;
  /** What the place at the queue was called last. */
  private consumer: string | null = null;
  /** When the queue at hand was made; null = none yet. A store that was lost makes it another. */
  private queueCreated: string | null = null;
  private untakenBytes = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly run: RunPlace,
    private readonly onDelivery: DeliveryHandler,
    private readonly options: NatsSettings,
    private readonly pace: Pace,
  ) {
    this.link = new NatsLink(run, options, {
      onUp: (connection) => this.begin(connection),
      onDown: () => {
        this.place = null;
        for (const parcel of this.parcels.values()) parcel.disconnected();
      },
    });
    this.timer = setInterval(() => void this.tick(), 1000 * pace.workingSeconds);
  }

  get address(): string {
    return this.run.address;
  }

  async start(): Promise<void> {
    const began = performance.now();
    try {
      await this.link.reach(began + 1000 * this.options.reconnectSeconds);
    } catch (error) {
      if (!(error instanceof LinkBroken)) throw error;
      throw unavailable(this.address, performance.now() - began, error.message);
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.link.close();
  }

  private async begin(connection: NatsConnection): Promise<void> {
    const { run, options } = this;
    const manager = await jetStreamOf(connection, options.deadlineSeconds);
    const created = await ensureRolloutStream(manager, run, options);
    const known = this.queueCreated;
    this.queueCreated = created;
    if (known !== null && known !== created) {
      options.notice(
        `the NATS server at ${run.server} came back without its store: what it held for the learner is lost; the ` +
          "queue has been made anew",
      );
    }
    const taken = await takeConsumer(manager, run, this.consumer);
    if (taken === null) {
      options.notice(`another learner has taken over the rollouts at ${run.address}: this one gets no more`);
      void this.close();
      return;
    }
    this.consumer = taken.name;
    this.place = new QueuePlace({
      ...{ connection, manager, run, consumer: taken.name, empty: taken.empty },
      onMessage: (message, delivery) => this.onMessage(message, delivery),
      hasRoom: () => this.untakenBytes < AHEAD_BYTES,
      onTrouble: (detail) => this.link.restart(connection, detail),
    });
    this.place.pull();
  }

  private onMessage(message: Msg, { reply, sequence }: Delivery): void {
    const { subject } = message;
    let parcel = this.parcels.get(subject);
    if (parcel === undefined) {
      parcel = new Parcel(subject);
      this.parcels.set(subject, parcel);
    }
    parcel.delivered(sequence, reply);
    if (parcel.verdict !== null) {
      this.place?.say(WORDS[parcel.verdict], [reply]);
      return;
    }
    try {
      const frame = frameCodec.decode(message.data);
      const bytes = parcel.accept(frame, performance.now(), this.options.maxMessageBytes);
      if (bytes !== null) this.handOver(parcel, bytes);
    } catch (error) {
      this.refuse(parcel, messageOf(error));
    }
  }

  private handOver(parcel: Parcel, bytes: Uint8Array): void {
    const rollout = decodeRollout(bytes);
    const size = bytes.byteLength;
    let taken = false;
    this.untakenBytes += size;
    const take = (): void => {
      if (taken) return;
      taken = true;
      this.untakenBytes -= size;
      this.place?.pull();
    };
    const settle = (verdict: Verdict): void => {
      take();
      this.settle(parcel, verdict);
    };
    try {
      this.onDelivery({
        ...{ rollout, bytes: size, take },
        ack: () => settle("+ACK"),
        // Why is the learner's to tell: the sender has gone on since the server took the rollout.
        reject: () => settle("+TERM"),
      });
    } catch (error) {
      take();
      throw error;
    }
  }

  /** It is not to come again: nobody could make anything of it. */
  private refuse(parcel: Parcel, why: string): void {
    if (parcel.verdict !== null) return;
    this.options.notice(`dropped a rollout from the queue at ${this.address}: ${why}`);
    this.settle(parcel, "+TERM");
  }

  private settle(parcel: Parcel, verdict: Verdict): void {
    if (parcel.verdict !== null) return;
    parcel.verdict = verdict;
    this.place?.say(WORDS[verdict], parcel.addressees());
  }

  private async tick(): Promise<void> {
    const { place } = this;
    if (place === null) return;
    const said: Parcel[] = [];
    for (const parcel of this.parcels.values()) {
      if (parcel.confirmed) this.parcels.delete(parcel.subject);
      else if (parcel.verdict === null) place.say(WORKING, parcel.addressees());
      // One that was settled between two connections has addressees only once it has been delivered again.
      else if (parcel.size > 0 || place.caughtUp) said.push(parcel);
    }
    try {
      await place.flush();
      // Forgotten at the next tick: the server may have sent one again just before it heard.
      for (const parcel of said) parcel.confirmed = true;
      await this.giveUpHalves(place);
      await place.check();
    } catch {
      // The connection broke, or the server was slow to answer: the next tick sees to it.
    }
  }

  private async giveUpHalves(place: QueuePlace): Promise<void> {
    for (const parcel of this.parcels.values()) {
      const now = performance.now();
      if (!parcel.arriving || now - parcel.newestAt < 1000 * this.pace.giveUpSeconds) continue;
      const stored = await place.stored(parcel.subject);
      if (stored > parcel.size) parcel.newestAt = now;
      else this.refuse(parcel, "its sender ended half-way");
    }
  }
}
