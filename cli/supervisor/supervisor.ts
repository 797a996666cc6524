/**
 * Starts a coordinator, a learner and actors as processes of this machine and looks after them; a NATS server too,
 * where the run needs one and names none.
 *
 * Always: a dead process is replaced, up to a limit that counts anew once it has run for a while; a learner goes on
 * from its newest checkpoint; when `run` returns, no process it started is alive.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunConfig } from "../../core/config/schema.js";
import { SkeinError, type ErrorCode } from "../../core/errors.js";
import type { FinishedEvent, ListeningEvent, ProgressEvent, RunEvent } from "../../core/progress.js";
import { readCredentials } from "../../core/security/credentials.js";
import { addressesOf } from "../../core/transport/create.js";
import { forgetRollouts } from "../../core/transport/nats/forget.js";
import { listCheckpoints } from "../../core/weights/checkpoint.js";
import { credentialFlags } from "../commands/credentials.js";
import { Child, describeEnd, type ChildEnd } from "./child.js";
import { LocalNatsServer } from "./nats-server.js";

/** How long a child may take from start to ready, and from being asked to leave to being gone. */
const START_SECONDS = 60;
const LEAVE_SECONDS = 30;
const COORDINATOR_RESTARTS = 20;
const RESTART_DELAY_MS = 200;
/** A process that has run this long starts with all its restarts again. */
const SETTLED_MS = 600_000;
/** A learner's way from reporting the end of the run to being gone. */
const FINISH_DELAY_MS = 5000;

/** Errors that a new process would only repeat. */
const FATAL_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "CONFIG_INVALID",
  "ENVIRONMENT_UNKNOWN",
  "ENVIRONMENT_FAILED",
  "RECIPE_UNKNOWN",
  "RECIPE_INVALID",
  "ENGINE_UNAVAILABLE",
  "PORT_IN_USE",
  "PROTOCOL_MISMATCH",
  "UNAUTHORIZED",
  "CHECKPOINT_MISMATCH",
  "CHECKPOINT_UNREADABLE",
  "BOOKS_UNREADABLE",
  "BOOKS_MISMATCH",
  "BOOKS_UNAVAILABLE",
]);

export interface SupervisorOptions {
  readonly config: RunConfig;
  /** The resolved run file, which the coordinator reads. */
  readonly configPath: string;
  readonly runFolder: string;
  readonly resume: boolean;
  readonly onEvent: (event: RunEvent) => void;
}

export class Supervisor {
  private readonly children = new Set<Child>();
  private nats: LocalNatsServer | null = null;
  private coordinatorAddress = "";
  private learner: Child | null = null;
  private stopAsked = false;
  private stopping = false;
  private latest: ProgressEvent | null = null;
  private fail: (error: unknown) => void = () => undefined;
  private readonly failed = new Promise<never>((_, reject) => (this.fail = reject));

  constructor(private readonly options: SupervisorOptions) {
    this.failed.catch(() => undefined);
  }

  /** The newest progress event, for a last word on a run that failed. */
  get progress(): ProgressEvent | null {
    return this.latest;
  }

  /** Runs to the end, or until `stop` aborts and everything has drained. Rejects where the run failed. */
  async run(stop: AbortSignal): Promise<FinishedEvent> {
    try {
      await this.startNats();
      await Promise.race([this.startCoordinator(), this.failed]);
      const finished = this.startLearner(this.options.resume, 0);
      const onStop = (): void => {
        this.notice(
          "info",
          "stopping: the learner writes a checkpoint, then everything leaves; a second Ctrl-C ends it at once",
        );
        this.stopAsked = true;
        this.learner?.terminate();
      };
      stop.addEventListener("abort", onStop, { once: true });
      if (stop.aborted) onStop();
      for (let index = 0; index < this.options.config.actors.processes; index++) this.startActor(index, 0);
      try {
        return await Promise.race([finished, this.failed]);
      } finally {
        stop.removeEventListener("abort", onStop);
      }
    } finally {
      await this.takeDown();
    }
  }

  /** Ends every child at once. */
  killAll(): void {
    this.stopping = true;
    for (const child of this.children) child.kill();
    this.nats?.leave();
  }

  private start(name: string, args: readonly string[], onEvent: (event: RunEvent) => void): Child {
    const logPath = join(this.options.runFolder, "logs", `${name}.log`);
    const child = new Child(name, args, logPath, onEvent);
    this.children.add(child);
    void child.ended.then(() => this.children.delete(child));
    return child;
  }

  private async startNats(): Promise<void> {
    const { config, runFolder, resume } = this.options;
    const { transport, security } = config;
    if (transport.kind !== "nats") return;
    if (transport.nats.url !== null) {
      if (resume) return;
      await forgetRollouts(addressesOf(config).rollouts, transport, await readCredentials(security));
      return;
    }
    this.nats = await LocalNatsServer.start({
      ...{ config, runFolder },
      notice: (message) => this.notice("warn", message),
      onLost: (error) => this.fail(error),
    });
  }

  /** Where the coordinator is to serve: where it did before, if it did. */
  private coordinatorPlace(): string[] {
    const { coordinator, transport } = this.options.config;
    if (this.nats !== null) return ["--set", `transport.nats.url=${this.nats.url}`];
    if (transport.kind === "nats") return [];
    return ["--address", this.coordinatorAddress === "" ? coordinator.address : this.coordinatorAddress];
  }

  private async startCoordinator(restarts = 0): Promise<void> {
    const { configPath, runFolder, onEvent } = this.options;
    const folder = ["--run-folder", runFolder];
    let child: Child | null = null;
    const listening = new Promise<ListeningEvent>((resolve) => {
      child = this.start(
        "coordinator",
        ["coordinator", configPath, ...folder, ...this.coordinatorPlace()],
        (event) => {
          if (event.event === "listening") resolve(event);
          onEvent(event);
        },
      );
    });
    const started = child as unknown as Child;
    void started.ended.then((end) => this.onCoordinatorEnd(started, end, restarts));
    this.coordinatorAddress = (await this.within(listening, started, "the coordinator")).address;
  }

  private onCoordinatorEnd(child: Child, end: ChildEnd, restarts: number): void {
    if (this.stopping) return;
    const before = child.milliseconds > SETTLED_MS ? 0 : restarts;
    if (this.isFatal(child) || before >= COORDINATOR_RESTARTS || this.coordinatorAddress === "") {
      this.fail(this.errorOf(child, end));
      return;
    }
    const where = this.coordinatorAddress;
    this.notice("warn", `the coordinator ${this.whyOf(child, end)}; starting it again on ${where}`);
    setTimeout(() => {
      if (!this.stopping) this.startCoordinator(before + 1).catch((error: unknown) => this.fail(error));
    }, RESTART_DELAY_MS);
  }

  /** Resolves with the end of the run, also where it takes several learners; rejects where no more are to be had. */
  private async startLearner(resume: boolean, restarts: number): Promise<FinishedEvent> {
    const { config, runFolder, onEvent } = this.options;
    let finished: FinishedEvent | null = null;
    const args = [
      "learner",
      "--coordinator",
      this.coordinatorAddress,
      "--run-folder",
      runFolder,
      ...credentialFlags(config.security),
    ];
    const child = this.start("learner", resume ? [...args, "--resume"] : args, (event) => {
      if (event.event === "finished") {
        finished = event;
        return;
      }
      if (event.event === "progress") this.latest = event;
      onEvent(event);
    });
    this.learner = child;
    const end = await child.ended;
    if (finished !== null && end.code === 0) return finished;
    const before = child.milliseconds > SETTLED_MS ? 0 : restarts;
    if (this.stopping || this.stopAsked || this.isFatal(child) || before >= config.learner.maxRestarts) {
      throw this.errorOf(child, end);
    }
    const newest = (await listCheckpoints(join(runFolder, "checkpoints"))).pop();
    const from = newest === undefined ? "from the beginning: it had written no checkpoint" : `from ${newest}`;
    this.notice("warn", `the learner ${this.whyOf(child, end)}; replacing it, ${from}`);
    await sleep(RESTART_DELAY_MS);
    if (this.stopping || this.stopAsked) throw this.errorOf(child, end);
    return this.startLearner(newest !== undefined, before + 1);
  }

  private startActor(index: number, restarts: number): void {
    const name = `actor-${index}`;
    const child = this.start(
      name,
      [
        "actor",
        "--coordinator",
        this.coordinatorAddress,
        "--index",
        String(index),
        "--name",
        name,
        ...credentialFlags(this.options.config.security),
      ],
      this.options.onEvent,
    );
    void child.ended.then((end) => {
      if (this.stopping) return;
      const before = child.milliseconds > SETTLED_MS ? 0 : restarts;
      if (this.isFatal(child) || before >= this.options.config.actors.maxRestarts) {
        this.fail(this.errorOf(child, end));
        return;
      }
      // Code 0 is an actor that was asked to leave, or the end of the run, which the learner is about to tell.
      const delay = end.code === 0 ? FINISH_DELAY_MS : RESTART_DELAY_MS;
      setTimeout(() => {
        if (this.stopping) return;
        this.notice("warn", `${name} ${this.whyOf(child, end)}; replacing it`);
        this.startActor(index, before + 1);
      }, delay);
    });
  }

  private isFatal({ failure }: Child): boolean {
    return failure?.code !== undefined && FATAL_CODES.has(failure.code as ErrorCode);
  }

  private whyOf({ failure }: Child, end: ChildEnd): string {
    return failure === null ? describeEnd(end) : `${describeEnd(end)} (${failure.message})`;
  }

  private errorOf(child: Child, end: ChildEnd): SkeinError {
    const log = join(this.options.runFolder, "logs", `${child.name}.log`);
    return child.failure === null
      ? new SkeinError("PROCESS_DIED", `the ${child.name} ${describeEnd(end)}; its log is ${log}`)
      : new SkeinError((child.failure.code ?? "INTERNAL") as ErrorCode, child.failure.message);
  }

  private async within<T>(promise: Promise<T>, child: Child, what: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new SkeinError("UNAVAILABLE", `${what} was not ready after ${START_SECONDS} s`)),
        START_SECONDS * 1000,
      );
    });
    const died = child.ended.then((end) => Promise.reject<never>(this.errorOf(child, end)));
    died.catch(() => undefined);
    try {
      return await Promise.race([promise, late, died]);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Learner and actors first, the coordinator once they have left, the NATS server last; what does not leave in time
   * is killed.
   */
  private async takeDown(): Promise<void> {
    this.stopping = true;
    const isCoordinator = (child: Child): boolean => child.name === "coordinator";
    await this.leave([...this.children].filter((child) => !isCoordinator(child)));
    await this.leave([...this.children].filter(isCoordinator));
    await this.nats?.stop();
  }

  private async leave(children: readonly Child[]): Promise<void> {
    for (const child of children) child.terminate();
    const timer = setTimeout(() => {
      for (const child of children) {
        if (!child.alive) continue;
        this.notice("warn", `${child.name} did not leave within ${LEAVE_SECONDS} s and was killed`);
        child.kill();
      }
    }, LEAVE_SECONDS * 1000);
    await Promise.all(children.map((child) => child.ended));
    clearTimeout(timer);
  }

  private notice(level: "info" | "warn", message: string): void {
    this.options.onEvent({ event: "notice", level, message });
  }
}
