/** What a run leaves on disk: run.yaml, metrics.jsonl, learning-curve.svg, checkpoints/. */
import { mkdir, readFile, rename, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import type { RunConfig } from "../../core/config/schema.js";
import { messageOf } from "../../core/errors.js";
import type { ProgressEvent } from "../../core/progress.js";
import { learningCurveSvg, type CurvePoint } from "../../core/telemetry/curve.js";
import { LineFile } from "./line-file.js";

export interface RunFolderOptions {
  readonly config: RunConfig;
  readonly environmentId: string;
  /** Lines of metrics beyond were written after the checkpoint, and go. */
  readonly fromEnvSteps: number;
  /** Told where metrics or curve cannot be written: the run goes on without them. */
  readonly warn: (message: string) => void;
}

export class RunFolder {
  private constructor(
    readonly path: string,
    private readonly points: CurvePoint[],
    private readonly metrics: LineFile,
    private readonly options: RunFolderOptions,
  ) {}

  /** Makes or reopens a folder. */
  static async open(path: string, options: RunFolderOptions): Promise<RunFolder> {
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "run.yaml"), stringify(options.config));
    const metrics = join(path, "metrics.jsonl");
    const points = await keepMetricsUpTo(metrics, options.fromEnvSteps);
    return new RunFolder(path, points, await LineFile.open(metrics, options.warn), options);
  }

  record(event: ProgressEvent): void {
    this.metrics.append(JSON.stringify(event));
    this.points.push({ envSteps: event.envSteps, meanReturn100: event.meanReturn100 });
  }

  async drawCurve(): Promise<void> {
    const { config, environmentId, warn } = this.options;
    const path = join(this.path, "learning-curve.svg");
    const title = `${config.run.name}: ${environmentId}, ${config.recipe.id}, seed ${config.run.seed}`;
    try {
      const curve = learningCurveSvg(this.points, { title, threshold: config.stop.meanReturn });
      await writeFile(`${path}.partial`, curve);
      await rename(`${path}.partial`, path);
    } catch (error) {
      warn(`${path}: ${messageOf(error)}`);
    }
  }

  async close(): Promise<void> {
    await this.drawCurve();
    await this.metrics.close();
  }
}

/** Points of the lines up to `envSteps`; everything after the first line that is beyond, or none, is cut off. */
async function keepMetricsUpTo(path: string, envSteps: number): Promise<CurvePoint[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  const points: CurvePoint[] = [];
  let keptBytes = 0;
  for (const line of text.split("\n").slice(0, -1)) {
    const event = eventOf(line);
    if (typeof event.envSteps !== "number" || event.envSteps > envSteps) break;
    points.push({ envSteps: event.envSteps, meanReturn100: event.meanReturn100 ?? null });
    keptBytes += Buffer.byteLength(line) + 1;
  }
  if (text !== "") await truncate(path, keptBytes);
  return points;
}

function eventOf(line: string): Partial<CurvePoint> {
  try {
    return JSON.parse(line) as Partial<CurvePoint>;
  } catch {
    return {};
  }
}
