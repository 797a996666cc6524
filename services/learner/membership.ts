/**
 * The learner's side of the coordinator: registers, takes over the version it is to go on as, publishes weights,
 * reports what became of rollouts.
 *
 * Always: one report is under way at a time, so that the coordinator hears of a rollout in the order in which things
 * happened to it; each says everything that no reply has confirmed yet.
 */
import { Session } from "../../core/transport/session.js";
import type { Control, Phase } from "../../core/transport/transport.js";
import { settledWithin } from "../../core/waiting.js";
import type { WeightsPublisher } from "../../core/weights/publisher.js";
import type { Intake } from "./intake.js";
import type { Learner } from "./learner.js";
import type { Settlements } from "./settlements.js";

const FINISH_SECONDS = 3;
const REPORT_MS = 1000;
/**
 * The gate rests on what the learner says. A learner that waits for a batch drops rollouts meanwhile, and must say so:
 * else the gate goes on counting them and grants nothing. Those dropped within this time are said together.
 */
const DROPPED_MS = 20;

export interface MembershipOptions {
  readonly control: Control;
  /** Where actors reach the learner. */
  readonly dataAddress: string;
  /** Random: tells this process from one that takes its place. */
  readonly incarnation: string;
  readonly learner: Pick<Learner, "weights" | "progress" | "begin">;
  readonly intake: Pick<Intake, "voidGroups">;
  readonly settlements: Settlements;
  readonly publisher: WeightsPublisher;
  /** Called every second. */
  readonly tick: () => void;
}

export class Membership {
  private readonly reporting: NodeJS.Timeout;
  private dropped: NodeJS.Timeout | null = null;
  private lastReport: Promise<unknown> = Promise.resolve();
  private reports = 0;

  private constructor(
    private readonly options: MembershipOptions,
    private readonly session: Session,
  ) {
    this.reporting = setInterval(() => {
      options.tick();
      if (this.reports === 0) this.report("running").catch(() => undefined);
    }, REPORT_MS);
    options.settlements.onDropped = () => {
      this.dropped ??= setTimeout(() => {
        this.dropped = null;
        this.report("running").catch(() => undefined);
      }, DROPPED_MS);
    };
  }

  /** Registers, lets the learner begin and publishes the weights at hand. */
  static async open(options: MembershipOptions): Promise<Membership> {
    const { control, dataAddress, incarnation, learner, publisher } = options;
    const publish = (): Promise<void> => publisher.publish(learner.weights);
    const session = await Session.open({
      control,
      beat: () => ({ appliedVersion: learner.progress.policyVersion, appliedHash: "", running: [] }),
      request: () => ({
        role: "learner",
        name: "learner",
        index: null,
        dataAddress,
        incarnation,
        policyVersion: learner.progress.policyVersion,
      }),
    });
    session.onRenewed = publish;
    learner.begin(session.policyVersion);
    await publish();
    return new Membership(options, session);
  }

  /** Rejects when the coordinator has stayed away for too long, or has another learner (REFUSED). */
  get failed(): Promise<never> {
    return this.session.failed;
  }

  /** Hands out the learner's weights and outcomes; returns the number of living actors. */
  async advance(): Promise<number> {
    await this.options.publisher.publish(this.options.learner.weights);
    return this.report("running");
  }

  /** Tells every actor to leave, unless the coordinator is gone itself. */
  async finish(): Promise<void> {
    this.stopReporting();
    await settledWithin(this.report("finished"), FINISH_SECONDS);
  }

  async close(): Promise<void> {
    this.stopReporting();
    await this.session.close();
  }

  private stopReporting(): void {
    clearInterval(this.reporting);
    clearTimeout(this.dropped ?? undefined);
    this.options.settlements.onDropped = () => undefined;
  }

  private report(phase: Phase): Promise<number> {
    this.reports++;
    const report = this.lastReport.then(() => this.tell(phase)).finally(() => this.reports--);
    this.lastReport = report.catch(() => undefined);
    return report;
  }

  private async tell(phase: Phase): Promise<number> {
    const { control, intake, learner, settlements } = this.options;
    const { leaseId } = this.session;
    const { outcomes, confirm } = settlements.unconfirmed();
    const { checkpointVersion } = settlements;
    const progress = learner.progress;
    const reply = await control.report({ leaseId, phase, ...progress, checkpointVersion, outcomes });
    if (reply.known) {
      confirm();
      intake.voidGroups(reply.voidedGroups);
      return reply.actors;
    }
    await this.session.renew(leaseId);
    // Registering says that the run goes on; its end has to be said again.
    return phase === "finished" ? this.tell(phase) : reply.actors;
  }
}
