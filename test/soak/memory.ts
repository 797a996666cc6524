/** Memory of processes over time, as the kernel counts it. */
import { readFile } from "node:fs/promises";
import type { Sample } from "./slope.js";

const KIB_PER_MIB = 1024;

/** Resident memory in MiB; null = the process is gone. */
export async function residentMiB(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(status);
  return match === null ? null : Number(match[1]) / KIB_PER_MIB;
}

/** Heap in use of a service in MiB, from its /metrics; null = it has no such page, or is gone. */
export async function heapMiB(http: string): Promise<number | null> {
  const page = await fetch(`${http}/metrics`, { signal: AbortSignal.timeout(5000) }).catch(() => null);
  const match = /^nodejs_heap_size_used_bytes (\S+)$/m.exec((await page?.text().catch(() => "")) ?? "");
  return match === null ? null : Number(match[1]) / 2 ** 20;
}

/** What was sampled of one process. */
export class Watched {
  readonly resident: Sample[] = [];
  readonly heap: Sample[] = [];
  gone = false;

  constructor(
    readonly name: string,
    readonly pid: number,
    /** `http://host:port`; empty = none. */
    private readonly http: string,
  ) {}

  async sample(at: number): Promise<void> {
    if (this.gone) return;
    const resident = await residentMiB(this.pid);
    if (resident === null) {
      this.gone = true;
      return;
    }
    this.resident.push({ at, value: resident });
    const heap = this.http === "" ? null : await heapMiB(this.http);
    if (heap !== null) this.heap.push({ at, value: heap });
  }
}
