/** A learner that trains on nothing: it publishes small weights and says that whatever was granted was trained. */
import { randomUUID } from "node:crypto";
import { runConfigSchema } from "../core/config/schema.js";
import { messageOf } from "../core/errors.js";
import { OPEN } from "../core/security/credentials.js";
import { createTransport } from "../core/transport/create.js";
import { Session } from "../core/transport/session.js";
import type { Control, Outcome, Transport } from "../core/transport/transport.js";
import { createLearnerMetrics } from "../core/telemetry/metrics.js";
import type { WeightsSnapshot } from "../core/types.js";
import { WeightsPublisher } from "../core/weights/publisher.js";

/** CartPole's two 64×64 networks. */
const PARAMETERS = 9_155;

function weights(version: number): WeightsSnapshot {
  const data = Float32Array.from({ length: PARAMETERS }, (_, k) => Math.sin(version + k));
  return { version, tensors: [{ name: "all", dtype: "float32", shape: [PARAMETERS], data }] };
}

export class FakeLearner {
  private version = 0;
  private waiting: number[] = [];
  private readonly timer: NodeJS.Timeout;
  private turning: Promise<void> = Promise.resolve();

  private constructor(
    private readonly transport: Transport,
    private readonly control: Control,
    private readonly session: Session,
    private readonly publisher: WeightsPublisher,
    private readonly stepsEach: number,
    versionSeconds: number,
  ) {
    this.timer = setInterval(() => {
      this.turning = this.turning
        .then(() => this.turn())
        .catch((error: unknown) => void process.stderr.write(`learner: ${messageOf(error)}\n`));
    }, 1000 * versionSeconds);
  }

  static async join(coordinator: string, stepsEach: number, versionSeconds: number): Promise<FakeLearner> {
    const transport = createTransport(runConfigSchema.shape.transport.parse({}), OPEN);
    const control = transport.connectControl(coordinator);
    const incarnation = randomUUID();
    const session = await Session.open({
      control,
      request: () => ({
        ...{ role: "learner", name: "learner", index: null, dataAddress: "127.0.0.1:1" },
        ...{ incarnation, policyVersion: 0 },
      }),
      beat: () => ({ appliedVersion: 0, appliedHash: "", running: [] }),
    });
    const publisher = new WeightsPublisher(
      control,
      incarnation,
      { deltas: true, anchorEvery: 20 },
      createLearnerMetrics({ processMetrics: false }),
    );
    await publisher.publish(weights(0));
    return new FakeLearner(transport, control, session, publisher, stepsEach, versionSeconds);
  }

  /** Requests that actors have got. */
  granted(requestIds: readonly number[]): void {
    this.waiting.push(...requestIds);
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    await this.turning;
    await this.session.close();
    await this.transport.close();
  }

  /** One version: what was granted since the last is trained. */
  private async turn(): Promise<void> {
    const version = ++this.version;
    const outcomes = this.waiting.splice(0).map((requestId): Outcome => ({
      ...{ requestId, verdict: "trained", reason: "", steps: this.stepsEach, version },
      ...{ episodeReturn: Number.NaN, episodeLength: Number.NaN },
    }));
    await this.publisher.publish(weights(version));
    await this.control.report({
      ...{ leaseId: this.session.leaseId, phase: "running", policyVersion: version, updates: version },
      ...{ envSteps: 0, checkpointVersion: version, outcomes, meanReturn100: Number.NaN },
    });
  }
}
