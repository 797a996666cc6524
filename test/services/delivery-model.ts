/**
 * Delivery in miniature: the real intake, ledger and settlements between a coordinator and actors that are as simple
 * as they can be. Messages come twice, late and in any order; actors and the learner die at any moment. It knows what
 * was trained into the weights that survive, which the learner can only infer from its ledger.
 */
import type { Random } from "../../core/random.js";
import type { Outcome } from "../../core/transport/transport.js";
import type { Rollout } from "../../core/types.js";
import type { Checkpoint } from "../../core/weights/checkpoint.js";
import { EMPTY_LEDGER } from "../../services/learner/ledger.js";
import { deliveryOf, smallRollout } from "./fixture.js";
import { intakeOf, type KeptIntake } from "./learner-fixture.js";

export interface ModelOptions {
  readonly ack: "onTrain" | "onCheckpoint";
  /** null = fragments */
  readonly groupSize: number | null;
  readonly maxPolicyLag: number;
  readonly batchSteps: number;
}

interface Request {
  readonly key: string;
  readonly rollout: Rollout;
  readonly actor: number;
  /** open, held, or how it ended. */
  state: string;
  trainedInto: number;
}

type Saved = Pick<Checkpoint, "outcomes"> & {
  readonly state: Pick<Checkpoint["state"], "ledger" | "policyVersion">;
};

const ACTORS = 3;
const keyOf = ({ task, group, member }: Rollout): string => `${task}/${group}/${member}`;

export class DeliveryModel {
  readonly requests = new Map<number, Request>();
  /** Into the weights at hand: key and attempt by version. */
  lineage: { readonly version: number; readonly key: string; readonly attempt: number }[] = [];
  readonly voided = new Set<number>();
  learner: KeptIntake;
  private saved: Saved = { outcomes: [], state: { policyVersion: -1, ledger: EMPTY_LEDGER } };
  private version = 0;
  private published = 0;
  private incarnation = 0;
  private training: readonly Rollout[] | null = null;
  /** Not settled, by actor: what it would deliver again. */
  private readonly unsettled = Array.from({ length: ACTORS }, () => new Map<number, Rollout>());
  /** On its way to the learner of that incarnation. */
  private wire: { readonly rollout: Rollout; readonly actor: number; readonly incarnation: number }[] = [];
  private nextGroup = 1;
  private lastRequest = 0;
  private readonly life = Array.from({ length: ACTORS }, () => 0);

  constructor(
    private readonly options: ModelOptions,
    private readonly random: Random,
  ) {
    this.learner = this.newLearner(0);
  }

  /** One thing that can happen happens. */
  async move(): Promise<void> {
    const { random } = this;
    const draw = random.uniform();
    if (draw < 0.25) this.issueNew();
    else if (draw < 0.65) this.arrive();
    else if (draw < 0.85) await this.train();
    else if (draw < 0.92) this.report();
    else if (draw < 0.95) this.checkpoint();
    else if (draw < 0.97) this.actorDies(random.integer(ACTORS));
    else if (draw < 0.985) this.learnerDies();
    else if (draw < 0.995) this.deliverAgain(random.integer(ACTORS));
    else this.voidGroup();
  }

  /** Nothing goes wrong any more, until nothing is on its way. */
  async settleDown(): Promise<void> {
    for (let round = 0; round < 200; round++) {
      for (let actor = 0; actor < ACTORS; actor++) this.deliverAgain(actor);
      while (this.wire.length > 0) this.arrive();
      if (this.options.groupSize !== null) for (const group of this.incomplete()) this.voided.add(group);
      this.report();
      await this.train();
      await this.train();
      this.report();
      this.checkpoint();
      if (this.stillUnsettled() === this.learner.intake.held.rollouts && this.wire.length === 0) {
        if (this.open() === 0) return;
      }
      // Work that tops a batch up.
      this.issueNew();
    }
  }

  open(): number {
    return [...this.requests.values()].filter(({ state }) => state === "open").length;
  }

  stillUnsettled(): number {
    return this.unsettled.reduce((sum, { size }) => sum + size, 0);
  }

  /** Requests in flight that nobody can deliver any more although their actor lives. */
  lost(): number[] {
    return [...this.requests]
      .filter(([, { state }]) => state === "open" || state === "held")
      .filter(([id, { actor }]) => !this.unsettled[actor]!.has(id))
      .filter(([, { actor, rollout }]) => rollout.actorId === this.nameOf(actor))
      .map(([id]) => id);
  }

  private issueNew(): void {
    const { groupSize } = this.options;
    const group = this.nextGroup++;
    const versions = [Math.max(0, this.published - this.random.integer(3)), this.published];
    if (groupSize === null) {
      this.issue({ task: `seat-${group % 4}`, group, member: 0, seat: group % 4, attempt: 1, versions });
      return;
    }
    for (let member = 0; member < groupSize; member++) {
      this.issue({ task: "task-1", group, member, attempt: 1, versions });
    }
  }

  private issue(work: Parameters<typeof smallRollout>[0]): void {
    const actor = this.random.integer(ACTORS);
    const requestId = ++this.lastRequest;
    const rollout = {
      ...smallRollout({ ...work, requestId, steps: 2 + this.random.integer(4) }),
      actorId: this.nameOf(actor),
    };
    this.requests.set(requestId, { key: keyOf(rollout), rollout, actor, state: "open", trainedInto: -1 });
    this.unsettled[actor]!.set(requestId, rollout);
    this.send(actor, rollout);
  }

  private send(actor: number, rollout: Rollout): void {
    // Moved to another thread in life; every delivery has columns of its own.
    this.wire.push({ rollout: structuredClone(rollout), actor, incarnation: this.incarnation });
  }

  private arrive(): void {
    if (this.wire.length === 0) return;
    const [{ rollout, actor, incarnation }] = this.wire.splice(this.random.integer(this.wire.length), 1) as [
      (typeof this.wire)[number],
    ];
    if (incarnation !== this.incarnation) return;
    const name = this.nameOf(actor);
    this.learner.intake.deliver(
      deliveryOf(rollout, () => {
        // Said to a stream that breaks, or an actor that is gone, it is not heard.
        const heard = this.random.uniform() < 0.9;
        if (heard && incarnation === this.incarnation && name === this.nameOf(actor)) {
          this.unsettled[actor]!.delete(rollout.requestId);
        }
      }),
    );
  }

  private async train(): Promise<void> {
    const { intake } = this.learner;
    if (this.training === null) {
      const stop = new AbortController();
      const next = intake.next(stop.signal);
      stop.abort();
      this.training = (await next)?.rollouts ?? null;
      return;
    }
    this.version++;
    for (const rollout of this.training) {
      this.lineage.push({ version: this.version, key: keyOf(rollout), attempt: rollout.attempt });
    }
    this.training = null;
    intake.trained(this.version);
    this.published = this.version;
    if (this.random.uniform() < 0.8) this.report();
  }

  private report(): void {
    const { outcomes, confirm } = this.learner.settlements.unconfirmed();
    for (const outcome of outcomes) this.book(outcome);
    // The reply gets lost.
    if (this.random.uniform() < 0.2) return;
    confirm();
    this.learner.intake.voidGroups([...this.voided]);
  }

  private book({ requestId, verdict, reason, version }: Outcome): void {
    const request = this.requests.get(requestId)!;
    request.state = verdict + (reason === "" ? "" : `(${reason})`);
    request.trainedInto = version;
    if (request.state === "failed(refused)") throw new Error(`refused: ${request.key}`);
  }

  private checkpoint(): void {
    // Between batches only.
    if (this.training !== null) return;
    const { ledger, settlements } = this.learner;
    const state = { policyVersion: this.version, ledger: ledger.state };
    this.saved = structuredClone({ outcomes: settlements.unconfirmedDone, state });
    settlements.saved(this.version);
  }

  private actorDies(actor: number): void {
    this.unsettled[actor]!.clear();
    this.life[actor]!++;
    this.giveUpLost();
  }

  private learnerDies(): void {
    const { ack } = this.options;
    const from = Math.max(0, this.saved.state.policyVersion);
    this.incarnation++;
    this.wire = this.wire.filter(() => this.random.uniform() < 0.5);
    this.training = null;
    this.lineage = this.lineage.filter(({ version }) => version <= from);
    for (const request of this.requests.values()) {
      const gone = request.state === "trained" && request.trainedInto > from;
      if (request.state === "held" || (gone && ack === "onCheckpoint")) request.state = "open";
      else if (gone) request.state = "failed(rolledBack)";
    }
    this.version = this.published > from ? this.published + 1 : from;
    this.published = this.version;
    this.learner = this.newLearner(this.version);
    for (let actor = 0; actor < ACTORS; actor++) this.deliverAgain(actor);
    this.giveUpLost();
  }

  private deliverAgain(actor: number): void {
    for (const rollout of this.unsettled[actor]!.values()) this.send(actor, rollout);
  }

  /** Open work of actors that are gone is lost; work of which nothing is left is issued again. */
  private giveUpLost(): void {
    for (const request of this.requests.values()) {
      if (request.state === "open" && request.rollout.actorId !== this.nameOf(request.actor)) {
        request.state = "failed(leaseEnded)";
      }
    }
    const byKey = new Map<string, Request[]>();
    for (const request of this.requests.values()) {
      byKey.set(request.key, [...(byKey.get(request.key) ?? []), request]);
    }
    for (const attempts of byKey.values()) {
      const { rollout } = attempts.at(-1)!;
      if (attempts.some(({ state }) => !state.startsWith("failed")) || this.voided.has(rollout.group))
        continue;
      const { task, group, member, seat, attempt } = rollout;
      this.issue({ task, group, member, seat, attempt: attempt + 1, versions: [this.published] });
    }
  }

  private voidGroup(): void {
    if (this.options.groupSize === null) return;
    const [group] = this.incomplete();
    if (group !== undefined) this.voided.add(group);
  }

  /** Groups that work is in flight for, but not all of it with the learner: what a deadline ends. */
  private incomplete(): number[] {
    const held = new Map<number, number>();
    for (const { state, rollout } of this.requests.values()) {
      if (state === "open" || state === "held") {
        held.set(rollout.group, (held.get(rollout.group) ?? 0) + (state === "held" ? 1 : 0));
      }
    }
    return [...held].filter(([, count]) => count < this.options.groupSize!).map(([group]) => group);
  }

  private nameOf(actor: number): string {
    return `actor-${actor}-${this.life[actor]!}`;
  }

  private newLearner(version: number): KeptIntake {
    const { ack, groupSize, maxPolicyLag, batchSteps } = this.options;
    return intakeOf({ ack, groupSize, maxPolicyLag, sampler: { batchSteps } }, version, this.saved);
  }
}
