/** What a run leaves on disk: run.yaml, metrics.jsonl, learning-curve.svg, checkpoints/. */
import { createWriteStream, type WriteStream } from "node:fs";
import { mkdir, readFile, rename, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { stringify } from "yaml";
import type { RunConfig } from "../../core/config/schema.js";
import type { ProgressEvent } from "../../core/progress.js";
import { learningCurveSvg, type CurvePoint } from "../../core/telemetry/curve.js";

export class RunFolder {
  private readonly points: CurvePoint[];
  private readonly metrics: WriteStream;

  private constructor(
    readonly path: string,
    points: CurvePoint[],
    private readonly curve: { readonly title: string; readonly threshold: number | null },
  ) {
    this.points = points;
    this.metrics = createWriteStream(join(path, "metrics.jsonl"), { flags: "a" });
  }

  get checkpoints(): string {
    return join(this.path, "checkpoints");
  }

  /** Makes or reopens a folder. Lines of metrics beyond `fromEnvSteps` were written after the checkpoint and go. */
  static async open(
    path: string,
    config: RunConfig,
    environmentId: string,
    fromEnvSteps: number,
  ): Promise<RunFolder> {
    await mkdir(join(path, "checkpoints"), { recursive: true });
    await writeFile(join(path, "run.yaml"), stringify(config));
    const points = await keepMetricsUpTo(join(path, "metrics.jsonl"), fromEnvSteps);
    const title = `${config.run.name}: ${environmentId}, ${config.recipe.id}, seed ${config.run.seed}`;
    return new RunFolder(path, points, { title, threshold: config.stop.meanReturn });
  }

  record(event: ProgressEvent): void {
    this.metrics.write(`${JSON.stringify(event)}\n`);
    this.points.push({ envSteps: event.envSteps, meanReturn100: event.meanReturn100 });
  }

  async drawCurve(): Promise<void> {
    const path = join(this.path, "learning-curve.svg");
    await writeFile(`${path}.partial`, learningCurveSvg(this.points, this.curve));
    await rename(`${path}.partial`, path);
  }

  async close(): Promise<void> {
    await this.drawCurve();
    this.metrics.end();
    await finished(this.metrics);
  }
}

async function keepMetricsUpTo(path: string, envSteps: number): Promise<CurvePoint[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const points: CurvePoint[] = [];
  let keptBytes = 0;
  for (const line of text.split("\n").slice(0, -1)) {
    const event = JSON.parse(line) as Partial<CurvePoint>;
    if (typeof event.envSteps !== "number" || event.envSteps > envSteps) break;
    points.push({ envSteps: event.envSteps, meanReturn100: event.meanReturn100 ?? null });
    keptBytes += Buffer.byteLength(line) + 1;
  }
  if (text !== "") await truncate(path, keptBytes);
  return points;
}
