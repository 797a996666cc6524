/** The line to the learner, moved when the learner's address changes. */
import type { RolloutSender } from "../../core/transport/transport.js";
import type { Rollout } from "../../core/types.js";

export class LearnerLine {
  private current: { readonly address: string; readonly sender: RolloutSender } | null = null;

  constructor(private readonly connect: (address: string) => RolloutSender) {}

  /** Resolves when the learner at `address` has acknowledged the rollout. */
  async send(address: string, rollout: Rollout): Promise<void> {
    if (this.current?.address !== address) {
      const old = this.current;
      this.current = { address, sender: this.connect(address) };
      await old?.sender.close();
    }
    await this.current.sender.send(rollout);
  }

  async close(): Promise<void> {
    await this.current?.sender.close();
  }
}
