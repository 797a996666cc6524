/** Plain lines for logs and pipes: progress every two seconds of run time, everything else at once. */
import type { ListeningEvent, ProgressEvent, RunEvent } from "../../core/progress.js";
import { formatCount, formatDuration, formatEta, formatPercent, formatRate, formatValue } from "./format.js";
import { noticeText } from "./notice.js";
import { sanitise } from "./text.js";
import { verdict } from "./verdict.js";
import type { RunHeader, View, ViewStream } from "./view.js";

/** Seconds of `wallSeconds` between two progress lines. */
const EVERY_SECONDS = 2;

export function headerLine(header: RunHeader): string {
  const { runName, environment, recipe, engine, seed, runFolder, stopEnvSteps, stopMeanReturn } = header;
  const goal = stopMeanReturn === null ? "" : ` or mean return ${formatValue(stopMeanReturn)}`;
  return sanitise(
    `skein ${runName}: ${environment}, ${recipe}, ${engine}, seed ${seed}, ` +
      `until ${formatCount(stopEnvSteps)} env steps${goal}; run folder ${runFolder}`,
  );
}

export function progressLine(header: RunHeader, event: ProgressEvent): string {
  return [
    formatDuration(event.wallSeconds).padStart(8),
    `return ${formatValue(event.meanReturn100)}`,
    `env steps ${formatCount(event.envSteps)} (${formatPercent(Math.min(1, event.envSteps / header.stopEnvSteps))})`,
    `${formatRate(event.envStepsPerSecond)}/s`,
    `updates ${formatCount(event.updates)}`,
    `version ${formatCount(event.policyVersion)}`,
    `lag ${formatRate(event.policyLagMean)} max ${formatCount(event.policyLagMax)}`,
    `actors ${formatCount(event.actors)}`,
    `ETA ${formatEta(event.etaSeconds)}`,
  ].join("  ");
}

export function listeningLine({ role, address, http }: ListeningEvent): string {
  const parts = [address === "" ? "" : `listens on ${address}`, http === "" ? "" : `serves ${http}/metrics`];
  return sanitise(`${role} ${parts.filter((part) => part !== "").join(" and ") || "is up"}`);
}

export class PlainView implements View {
  /** Received and not written. */
  private pending: ProgressEvent | null = null;
  private latest: ProgressEvent | null = null;
  private printedAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly stream: ViewStream,
    private readonly header: RunHeader,
  ) {
    this.line(headerLine(header));
  }

  event(event: RunEvent): void {
    switch (event.event) {
      case "progress":
        this.latest = event;
        this.pending = event;
        if (event.wallSeconds >= this.printedAt + EVERY_SECONDS) this.flush();
        break;
      case "notice":
        this.line(noticeText(event));
        break;
      case "listening":
        this.line(listeningLine(event));
        break;
      case "finished":
        this.flush();
        this.line(verdict(event, this.latest?.episodes ?? null).text);
        break;
    }
  }

  close(): void {
    this.flush();
  }

  private flush(): void {
    if (this.pending === null) return;
    this.line(progressLine(this.header, this.pending));
    this.printedAt = this.pending.wallSeconds;
    this.pending = null;
  }

  private line(text: string): void {
    this.stream.write(`${text}\n`);
  }
}
