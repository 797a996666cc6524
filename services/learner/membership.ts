/** The learner's side of the coordinator: registers with its counts, publishes weights, reports how far it is. */
import { Session } from "../../core/transport/session.js";
import type { Control, Phase } from "../../core/transport/transport.js";
import { settledWithin } from "../../core/waiting.js";
import type { WeightsPublisher } from "../../core/weights/publisher.js";
import type { Intake } from "./intake.js";
import type { Learner } from "./learner.js";

const FINISH_SECONDS = 3;
/**
 * The gate rests on the learner's counts. A learner that waits for a batch drops repeats and stale rollouts
 * meanwhile, and must say so: else the gate goes on counting them and grants nothing.
 */
const REPORT_MS = 1000;

export interface MembershipOptions {
  readonly control: Control;
  /** Where actors reach the learner. */
  readonly dataAddress: string;
  readonly learner: Pick<Learner, "weights" | "progress">;
  readonly intake: Intake;
  readonly publisher: WeightsPublisher;
}

export class Membership {
  private readonly reporting: NodeJS.Timeout;

  private constructor(
    private readonly options: MembershipOptions,
    private readonly session: Session,
  ) {
    this.reporting = setInterval(() => void this.report("running").catch(() => undefined), REPORT_MS);
  }

  /** Registers and publishes the weights at hand. */
  static async open(options: MembershipOptions): Promise<Membership> {
    const { control, dataAddress, learner, intake, publisher } = options;
    const publish = (): Promise<void> => publisher.publish(learner.weights);
    const session = await Session.open({
      control,
      appliedVersion: () => learner.progress.policyVersion,
      request: () => ({
        role: "learner",
        name: "learner",
        index: null,
        dataAddress,
        policyVersion: learner.progress.policyVersion,
        ...countsOf(intake),
      }),
    });
    session.onRenewed = publish;
    await publish();
    return new Membership(options, session);
  }

  /** Rejects when the coordinator has stayed away for too long. */
  get failed(): Promise<never> {
    return this.session.failed;
  }

  /** Hands out the learner's weights and the counts; returns the number of living actors. */
  async advance(): Promise<number> {
    await this.options.publisher.publish(this.options.learner.weights);
    return this.report("running");
  }

  /** Tells every actor to leave, unless the coordinator is gone itself. */
  async finish(): Promise<void> {
    clearInterval(this.reporting);
    await settledWithin(this.report("finished"), FINISH_SECONDS);
  }

  async close(): Promise<void> {
    clearInterval(this.reporting);
    await this.session.close();
  }

  private async report(phase: Phase): Promise<number> {
    const { control, intake, learner } = this.options;
    const { leaseId } = this.session;
    const reply = await control.report({ leaseId, phase, ...learner.progress, ...countsOf(intake) });
    if (reply.known) return reply.actors;
    await this.session.renew(leaseId);
    // Registering says that the run goes on; its end has to be said again.
    return phase === "finished" ? this.report(phase) : reply.actors;
  }
}

function countsOf(intake: Intake) {
  return {
    disposedSteps: intake.disposedSteps,
    receivedSteps: intake.receivedSteps,
    seatSequences: intake.receivedSequences,
  };
}
