/** The line to the learner, moved when the learner's address changes. */
import type { RolloutSender } from "../../core/transport/transport.js";
import type { Rollout } from "../../core/types.js";

interface Line {
  readonly address: string;
  readonly sender: RolloutSender;
  /** The learner has moved: what this line still holds is given up. */
  left: boolean;
}

export class LearnerLine {
  private current: Line | null = null;

  constructor(private readonly connect: (address: string) => RolloutSender) {}

  /** To where the coordinator says the learner is now; leaves a line to any other address. Empty = not known. */
  moveTo(address: string): void {
    if (address === "" || this.current?.address === address) return;
    this.leave();
    this.current = { address, sender: this.connect(address), left: false };
  }

  /**
   * Resolves true when the learner has acknowledged the rollout, false when it moved before it did: a learner that
   * starts anew does not know of that work, and the coordinator issues it again.
   */
  async send(rollout: Rollout): Promise<boolean> {
    const line = this.current;
    if (line === null) return false;
    try {
      await line.sender.send(rollout);
      return true;
    } catch (error) {
      if (line.left) return false;
      throw error;
    }
  }

  /** At once; who wants rollouts delivered waits for `send`. */
  close(): void {
    this.leave();
  }

  private leave(): void {
    if (this.current === null) return;
    this.current.left = true;
    this.current.sender.abandon();
    this.current = null;
  }
}
