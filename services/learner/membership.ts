/** The learner's side of the coordinator: registers with its counts, publishes weights, reports how far it is. */
import type { Engine } from "../../core/engine/engine.js";
import { Session } from "../../core/transport/session.js";
import type { Control, Phase } from "../../core/transport/transport.js";
import { settledWithin } from "../../core/waiting.js";
import type { LearnerProgress } from "./learner.js";
import type { Intake } from "./intake.js";

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
  readonly engine: Engine;
  readonly intake: Intake;
  readonly progress: () => LearnerProgress;
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
    const { control, dataAddress, engine, progress } = options;
    const publish = (): Promise<void> => control.publishWeights(engine.weights(progress().policyVersion));
    const session = await Session.open({
      control,
      appliedVersion: () => progress().policyVersion,
      request: () => ({
        role: "learner",
        name: "learner",
        index: null,
        dataAddress,
        policyVersion: progress().policyVersion,
        ...countsOf(options.intake),
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

  /** Hands out the present weights and the counts; returns the number of living actors. */
  async advance(): Promise<number> {
    const { control, engine, progress } = this.options;
    await control.publishWeights(engine.weights(progress().policyVersion));
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
    const { control, intake, progress } = this.options;
    const { leaseId } = this.session;
    const reply = await control.report({ leaseId, phase, ...progress(), ...countsOf(intake) });
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
