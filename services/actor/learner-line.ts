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

  /**
   * Resolves true when the learner at `address` has acknowledged the rollout, false when the learner moved before it
   * did: a learner that starts anew does not know of that work, and the coordinator issues it again.
   */
  async send(address: string, rollout: Rollout): Promise<boolean> {
    const line = this.lineTo(address);
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
    this.current?.sender.abandon();
  }

  private lineTo(address: string): Line {
    if (this.current?.address === address) return this.current;
    if (this.current !== null) {
      this.current.left = true;
      this.current.sender.abandon();
    }
    this.current = { address, sender: this.connect(address), left: false };
    return this.current;
  }
}
