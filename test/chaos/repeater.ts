/** Listens to a NATS server and publishes every rollout a second time, under another subject, after a delay of its own. */
import { connect, headers, type Msg, type NatsConnection } from "nats";
import { setTimeout as pause } from "node:timers/promises";
import { Random } from "../../core/random.js";
import type { Borrowed } from "./machine.js";

/** Longer than a fragment takes, so that later ones overtake. */
const LONGEST_DELAY_MS = 200;
const AGAIN = "-again";

export class Repeater implements Borrowed {
  private readonly random: Random;
  /** By subject: the frames of a rollout stay together and in order. */
  private readonly delays = new Map<string, number>();

  private constructor(
    private readonly connection: NatsConnection,
    seed: number,
  ) {
    this.random = new Random(seed);
    connection.subscribe("skein.*.rollouts.>", {
      callback: (error, message) => {
        if (error === null && !message.subject.endsWith(AGAIN)) void this.repeat(message);
      },
    });
  }

  static async open(url: string, seed: number): Promise<Repeater> {
    return new Repeater(await connect({ servers: url }), seed);
  }

  async release(): Promise<void> {
    await this.connection.close();
  }

  private async repeat({ subject, data, headers: original }: Msg): Promise<void> {
    const delay = this.delays.get(subject) ?? LONGEST_DELAY_MS * this.random.uniform();
    this.delays.set(subject, delay);
    const copy = data.slice();
    const changed = headers();
    for (const [key, values] of original ?? [])
      for (const value of values) changed.append(key, key === "Nats-Msg-Id" ? value + AGAIN : value);
    await pause(delay);
    if (!this.connection.isClosed()) this.connection.publish(subject + AGAIN, copy, { headers: changed });
  }
}
