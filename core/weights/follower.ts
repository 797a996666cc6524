/**
 * The actor's side of weights: hears of new versions, brings them, checks them, hands them out.
 *
 * Always: nothing is handed out or passed on to others before every tensor has been checked against the root hash
 * that the coordinator announced; versions only rise. A fetch under way is finished, also where a newer version has
 * been announced meanwhile: begun anew with each version it might never end. Then the newest is next, the ones between
 * are skipped. What goes wrong (a relay that is gone, silent or lies, a payload that does not fit) costs another
 * attempt, a delta first, then in full, then from the coordinator; the weights at hand stay until then.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SkeinError } from "../errors.js";
import type { Logger } from "../telemetry/logger.js";
import type { ActorMetrics } from "../telemetry/metrics.js";
import { Backoff } from "../transport/retry.js";
import type {
  Closable,
  Control,
  WeightsAnnouncement,
  WeightsDelivery,
  WeightsSource,
} from "../transport/transport.js";
import type { WeightsSnapshot } from "../types.js";
import { unlessAborted } from "../waiting.js";
import { modeOf } from "./manifest.js";
import { verifyWeights, type VerifiedWeights } from "./payload.js";
import type { WeightsRelay } from "./relay.js";

/** A relay that failed is left alone for so long: its own lease and connections end within that, if it is gone. */
const AVOID_SECONDS = 60;

/** Announcements remembered at most; a relay that lags further behind is of no use. */
const REMEMBERED = 1000;

export interface FollowerOptions {
  readonly control: Pick<Control, "watchWeights" | "fetchWeights">;
  /** Holds what has been verified; hands it on to others. */
  readonly relay: WeightsRelay;
  /** Where it does; empty = nowhere. */
  readonly relayAddress: string;
  readonly connect: (address: string) => WeightsSource & Closable;
  readonly metrics: Pick<
    ActorMetrics,
    "weightsReceivedBytes" | "weightsSyncSeconds" | "rejectedWeights" | "relayFallbacks"
  >;
  readonly log: Logger;
  /** Seconds of a steady clock. */
  readonly now: () => number;
}

interface Heard extends WeightsAnnouncement {
  /** Seconds, of `now`. */
  readonly heardAt: number;
}

/** Weights, and how they came. */
interface Brought {
  readonly weights: VerifiedWeights;
  readonly mode: "full" | "delta";
}

export class WeightsFollower {
  /** Above the version at hand, oldest first. */
  private readonly heard = new Map<number, Heard>();
  private wake: () => void = () => undefined;
  private line: { readonly address: string; readonly source: WeightsSource & Closable } | null = null;
  private avoided = { address: "", until: 0 };

  constructor(private readonly options: FollowerOptions) {}

  /**
   * Every newest version until `signal` aborts or the coordinator ends the watch. Throws what the watch does:
   * UNAVAILABLE where the coordinator has stayed away for too long.
   */
  async *follow(signal: AbortSignal): AsyncGenerator<VerifiedWeights, void, undefined> {
    const { relay, metrics, now } = this.options;
    const over = new AbortController();
    const until = AbortSignal.any([signal, over.signal]);
    const listening = this.listen(until).finally(() => over.abort());
    listening.catch(() => undefined);
    const backoff = new Backoff();
    try {
      while (!until.aborted) {
        const target = this.newestHeard;
        if (target === null) {
          await unlessAborted(this.change(), until);
          continue;
        }
        const brought = await unlessAborted(this.bring(target), until);
        if (brought === null) {
          await sleep(backoff.next(), undefined, { signal: until }).catch(() => undefined);
          continue;
        }
        backoff.reset();
        const { weights, mode } = brought;
        const { version } = weights.manifest;
        const { ageSeconds, heardAt } = this.heard.get(version)!;
        for (const older of [...this.heard.keys()]) if (older <= version) this.heard.delete(older);
        relay.put(weights);
        yield weights;
        metrics.weightsSyncSeconds.observe(mode, ageSeconds + now() - heardAt);
      }
      await listening;
    } finally {
      over.abort();
      await this.line?.source.close();
    }
  }

  /** Those very weights, from the coordinator. Throws REFUSED where it does not keep them any more. */
  async fetchExactly(version: number): Promise<WeightsSnapshot> {
    const request = { version, oldest: version, base: null };
    const delivery = await this.options.control.fetchWeights(request);
    this.count(delivery);
    return verifyWeights(delivery, delivery.manifest.rootHash, null).snapshot;
  }

  private get newestHeard(): Heard | null {
    return [...this.heard.values()].at(-1) ?? null;
  }

  private async listen(signal: AbortSignal): Promise<void> {
    const { control, relay, relayAddress, now } = this.options;
    const request = { afterVersion: relay.shelf.version, relayAddress };
    for await (const announcement of control.watchWeights(request, signal)) {
      this.heard.set(announcement.version, { ...announcement, heardAt: now() });
      const [oldest] = this.heard.keys();
      if (this.heard.size > REMEMBERED) this.heard.delete(oldest!);
      this.wake();
    }
  }

  private change(): Promise<void> {
    return new Promise((resolve) => (this.wake = resolve));
  }

  /** Null where it could not be had: try again later. */
  private async bring(target: Heard): Promise<Brought | null> {
    const { control, metrics, now } = this.options;
    if (target.source !== "") {
      const { address, until } = this.avoided;
      const source = address === target.source && now() < until ? null : this.lineTo(target.source);
      const [oldest] = this.heard.keys();
      const brought = source && (await this.attempt(source, target.source, target.version, oldest!));
      if (brought !== null) return brought;
      if (source !== null) this.avoided = { address: target.source, until: now() + AVOID_SECONDS };
      metrics.relayFallbacks.inc();
    }
    const { version } = this.newestHeard!;
    return this.attempt(control, "the coordinator", version, version);
  }

  private async attempt(
    source: WeightsSource,
    where: string,
    version: number,
    oldest: number,
  ): Promise<Brought | null> {
    const { relay, metrics, log } = this.options;
    const { newest } = relay.shelf;
    for (const base of newest === null ? [null] : [newest, null]) {
      try {
        const request = { version, oldest, base: base?.manifest.version ?? null };
        const delivery = await source.fetchWeights(request);
        this.count(delivery);
        return { weights: this.verified(delivery, base), mode: modeOf(delivery.manifest) };
      } catch (error) {
        log.warn({ version, from: where, why: messageOf(error) }, "could not take weights");
        if (!(error instanceof SkeinError) || error.code !== "MESSAGE_CORRUPT") return null;
        metrics.rejectedWeights.inc();
      }
    }
    return null;
  }

  private verified(delivery: WeightsDelivery, base: VerifiedWeights | null): VerifiedWeights {
    const { version } = delivery.manifest;
    const heard = this.heard.get(version);
    if (heard === undefined) {
      throw new SkeinError(
        "MESSAGE_CORRUPT",
        `weights ${version}: expected a version announced above the last`,
      );
    }
    return verifyWeights(delivery, heard.rootHash, base);
  }

  private count({ manifest, payload }: WeightsDelivery): void {
    this.options.metrics.weightsReceivedBytes.inc(modeOf(manifest), payload.byteLength);
  }

  private lineTo(address: string): WeightsSource {
    if (this.line?.address !== address) {
      void this.line?.source.close();
      this.line = { address, source: this.options.connect(address) };
    }
    return this.line.source;
  }
}
