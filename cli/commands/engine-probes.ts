/**
 * Engines as this machine runs them, each tried in a process of its own: what native libraries print stays there, and
 * a driver that brings its process down is a reason like any other.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ENGINE_IDS, probeEngine, type EngineId, type EngineProbe } from "../../core/engine/select.js";
import type { CommandHost } from "./host.js";

const SKEIN = fileURLToPath(new URL("../main.js", import.meta.url));

/** `skein probe-engine <id>` */
export async function printProbe(_host: CommandHost, id: EngineId): Promise<number> {
  process.stdout.write(`\n${JSON.stringify(await probeEngine(id))}\n`);
  return 0;
}

function lastLine(text: string): string {
  return text.trim().split("\n").pop() ?? "";
}

/** ONNX Runtime names the library that a provider lacks on stderr only. */
function missingLibrary(complaints: string): string | null {
  return /([\w.+-]+): cannot open shared object file/.exec(complaints)?.[1] ?? null;
}

function probe(id: EngineId, signal: AbortSignal): Promise<EngineProbe> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [SKEIN, "probe-engine", id], {
      stdio: ["ignore", "pipe", "pipe"],
      signal,
    });
    let printed = "";
    let complaints = "";
    child.stdout.on("data", (data: Buffer) => (printed += data.toString()));
    child.stderr.on("data", (data: Buffer) => (complaints += data.toString()));
    child.on("error", (error) => resolve({ id, available: false, detail: error.message }));
    child.on("close", (code, killedBy) => {
      if (code === 0) {
        const { available, detail } = JSON.parse(lastLine(printed)) as EngineProbe;
        const missing = available ? null : missingLibrary(complaints);
        const fault = missing === null ? "" : `; ${missing} was not found`;
        resolve({ id, available, detail: `${detail.replace(`engine ${id}: `, "")}${fault}` });
        return;
      }
      const how = killedBy === null ? `with exit code ${code}` : `by ${killedBy}`;
      const detail = `its process ended ${how} as it started: ${lastLine(complaints)}; set another engine`;
      resolve({ id, available: false, detail });
    });
  });
}

export async function engineProbes(signal: AbortSignal): Promise<EngineProbe[]> {
  return Promise.all(ENGINE_IDS.map((id) => probe(id, signal)));
}
