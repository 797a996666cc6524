/** Stands in for a learner at the seam and passes each rollout on twice, each time after a delay of its own. */
import { setTimeout as pause } from "node:timers/promises";
import { runConfigSchema } from "../../core/config/schema.js";
import { Random } from "../../core/random.js";
import { createGrpcTransport } from "../../core/transport/grpc/index.js";
import type { RolloutDelivery, RolloutSender, Transport } from "../../core/transport/transport.js";
import type { Borrowed } from "./machine.js";

/** Longer than a fragment takes, so that later ones overtake. */
const LONGEST_DELAY_MS = 60;

export class Shuffler implements Borrowed {
  private readonly random: Random;
  private sender!: RolloutSender;
  address = "";

  private constructor(
    private readonly transport: Transport,
    seed: number,
  ) {
    this.random = new Random(seed);
  }

  static async open(learner: string, seed: number): Promise<Shuffler> {
    const options = runConfigSchema.shape.transport.parse({});
    const shuffler = new Shuffler(createGrpcTransport(options), seed);
    shuffler.sender = shuffler.transport.connectRollouts(learner);
    const served = await shuffler.transport.serveRollouts(
      (delivery) => shuffler.onDelivery(delivery),
      "127.0.0.1:0",
    );
    shuffler.address = served.address;
    return shuffler;
  }

  async release(): Promise<void> {
    this.sender.abandon();
    await this.transport.close();
  }

  private onDelivery(delivery: RolloutDelivery): void {
    delivery.take();
    void this.passOn(delivery).then(
      () => delivery.ack(),
      (error: Error) => delivery.reject(error.message),
    );
    void this.passOn(delivery).catch(() => undefined);
  }

  private async passOn({ rollout }: RolloutDelivery): Promise<void> {
    await pause(LONGEST_DELAY_MS * this.random.uniform());
    await this.sender.send(rollout).settled;
  }
}
