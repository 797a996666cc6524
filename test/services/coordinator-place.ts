/** A coordinator to talk to, over the memory transport, with books that it can be killed and started again on. */
import { vi } from "vitest";
import { parseRunConfig } from "../../core/config/load.js";
import type { NoticeEvent } from "../../core/progress.js";
import { createLogger } from "../../core/telemetry/logger.js";
import { createCoordinatorMetrics } from "../../core/telemetry/metrics.js";
import { createMemoryTransport } from "../../core/transport/memory.js";
import type {
  AcquireReply,
  AcquireRequest,
  Books,
  Control,
  Outcome,
  RegisterReply,
  RegisterRequest,
  ReportReply,
  ReportRequest,
  Transport,
  Verdict,
} from "../../core/transport/transport.js";
import type { RolloutRequest } from "../../core/types.js";
import { imbalanceOf } from "../../services/coordinator/books.js";
import { Coordinator } from "../../services/coordinator/coordinator.js";
import type { Method } from "../../services/coordinator/dispatch.js";
import { Store } from "../../services/coordinator/store.js";
import { OPTIONS } from "../transport/helpers.js";

const ADDRESS = "memory:coordinator";

type Tree = Readonly<Record<string, unknown>>;

/** A batch is two fragments of 4 steps; one batch may be ahead. */
const RUN: Tree = {
  environment: { id: "CartPole-v1" },
  recipe: { params: { batchSteps: 8 } },
  actors: { processes: 2, environments: 2, fragmentSteps: 2 },
};

export const STEPS = 4;

export class Place {
  readonly notices: NoticeEvent[] = [];
  metrics = createCoordinatorMetrics({ processMetrics: false });
  coordinator!: Coordinator;
  control!: Control;
  private store!: Store;
  private transport!: Transport;
  private ms = 0;
  private alive = true;

  private constructor(
    private readonly run: Tree,
    private readonly path: string | null,
    private readonly method: Method,
  ) {}

  /** `path`: file of the books; null = in memory. */
  static async open(run: Tree = {}, path: string | null = null, method: Method = {}): Promise<Place> {
    const place = new Place({ ...RUN, ...run }, path, method);
    await place.start();
    return place;
  }

  /** As a crash would: nothing is written down any more. */
  /** Once is enough. */
  async kill(): Promise<void> {
    if (!this.alive) return;
    this.alive = false;
    await this.transport.close();
    this.store.close();
  }

  async restart(run: Tree = {}): Promise<void> {
    await this.kill();
    this.alive = true;
    await this.start(run);
  }

  /** Does to the books what nothing of ours does. */
  damage(sql: string): void {
    this.store.prepare(sql).run();
  }

  /** Rows of a table of the books. */
  rows(table: string): number {
    return this.store.prepare<{ count: number }>(`SELECT COUNT(*) AS count FROM ${table}`).get()!.count;
  }

  /** The file may grow by that many pages and no more, as on a disk that is full. */
  limitPages(more: number): void {
    const { page_count } = this.store.prepare<{ page_count: number }>("PRAGMA page_count").get()!;
    this.store.prepare(`PRAGMA max_page_count = ${page_count + more}`).get();
  }

  /** Lets `seconds` pass for everybody. */
  async pass(seconds: number): Promise<void> {
    this.ms += 1000 * seconds;
    await vi.advanceTimersByTimeAsync(1000 * seconds);
  }

  register(change: Partial<RegisterRequest> = {}): Promise<RegisterReply> {
    return this.control.register({
      ...{ role: "actor", name: "a", index: null, dataAddress: "" },
      ...{ incarnation: "one", policyVersion: 0 },
      ...change,
    });
  }

  async actor(name = "a", index: number | null = null): Promise<string> {
    return (await this.register({ name, index })).leaseId;
  }

  async learner(change: Partial<RegisterRequest> = {}): Promise<string> {
    return (await this.takeOver(change)).leaseId;
  }

  takeOver(change: Partial<RegisterRequest> = {}): Promise<RegisterReply> {
    return this.register({ role: "learner", name: "learner", dataAddress: "learner:1", ...change });
  }

  beat(leaseId: string, running: readonly { requestId: number; steps: number }[] = []) {
    return this.control.heartbeat({ leaseId, appliedVersion: 0, appliedHash: "", running });
  }

  acquire(leaseId: string, seat: number, change: Partial<AcquireRequest> = {}): Promise<AcquireReply> {
    return this.control.acquire({ leaseId, seat, capacity: 1, lastRequestId: 0, failed: [], ...change });
  }

  /** The newest work of a seat that says it has heard of everything before. */
  async work(leaseId: string, seat: number): Promise<RolloutRequest> {
    const lastRequestId = this.heard.get(`${leaseId} ${seat}`) ?? 0;
    const { requests } = await this.acquire(leaseId, seat, { lastRequestId });
    const request = requests[0]!;
    this.heard.set(`${leaseId} ${seat}`, request.requestId);
    return request;
  }

  report(leaseId: string, change: Partial<ReportRequest> = {}): Promise<ReportReply> {
    const progress = { policyVersion: 0, updates: 0, envSteps: 0, checkpointVersion: -1, meanReturn100: NaN };
    return this.control.report({ leaseId, phase: "running", ...progress, outcomes: [], ...change });
  }

  async books(): Promise<Books> {
    return (await this.control.status()).books;
  }

  /** Rollouts by column, those of zero left out. */
  async columns(): Promise<Record<string, number>> {
    const books = await this.books();
    const { rollouts, steps } = imbalanceOf(books);
    const named = (name: string, column: Books["failed"]): [string, number][] =>
      Object.entries(column).map(([reason, count]) => [`${name}(${reason})`, count.rollouts]);
    const all: [string, number][] = [
      ...(["submitted", "trained", "stale", "inFlight"] as const).map((name): [string, number] => [
        name,
        books[name].rollouts,
      ]),
      ...named("filtered", books.filtered),
      ...named("failed", books.failed),
      ["imbalance", rollouts],
      ["imbalance in steps", steps],
    ];
    return Object.fromEntries(all.filter(([, count]) => count !== 0));
  }

  /** The present value of a metric without labels. */
  async metric(name: string): Promise<number> {
    const page = await this.metrics.registry.metrics();
    return Number(new RegExp(`^skein_coordinator_${name} (\\S+)$`, "m").exec(page)?.[1]);
  }

  private readonly heard = new Map<string, number>();

  private async start(run: Tree = {}): Promise<void> {
    this.metrics = createCoordinatorMetrics({ processMetrics: false });
    this.store = Store.open(this.path);
    this.coordinator = new Coordinator({
      config: parseRunConfig({ ...this.run, ...run }, "test"),
      store: this.store,
      metrics: this.metrics,
      notice: (event) => this.notices.push(event),
      log: createLogger({ role: "coordinator", level: "silent" }),
      now: () => this.ms,
      method: this.method,
    });
    this.transport = createMemoryTransport({ ...OPTIONS, deadlineSeconds: 60 });
    await this.transport.serveControl(this.coordinator, ADDRESS);
    this.control = this.transport.connectControl(ADDRESS);
  }
}

export function outcome(requestId: number, verdict: Verdict, change: Partial<Outcome> = {}): Outcome {
  return {
    ...{ requestId, verdict, reason: "", steps: STEPS, version: verdict === "trained" ? 1 : -1 },
    ...{ episodeReturn: NaN, episodeLength: NaN },
    ...change,
  };
}

/** Lets everything that can run without time passing run. */
export async function settle(): Promise<void> {
  for (let k = 0; k < 20; k++) await new Promise(setImmediate);
}

/** What `promise` gave, once it did; a call still under way when its test ends is none of its business. */
export function seen<T>(promise: Promise<T>): { value?: T } {
  const result: { value?: T } = {};
  promise.then(
    (value) => (result.value = value),
    () => undefined,
  );
  return result;
}
