import { describe, expect, it } from "vitest";
import { alternate, median, type Side } from "../../bench/alternate.js";
import { LineProcess } from "../../bench/lines.js";
import { residentMemory } from "../../bench/memory.js";
import { ratioLine } from "../../bench/report.js";
import { between, breakdown, sumSamples, total } from "../../bench/scrape.js";

/** Takes `secondsEach` for an iteration by its own clock, the first call ten times as long. */
function side(secondsEach: number, name: string, calls: string[]): Side {
  let cold = true;
  return {
    parameters: 1,
    run: async (iterations) => {
      calls.push(name);
      const seconds = iterations * secondsEach * (cold ? 10 : 1);
      cold = false;
      return seconds;
    },
    close: async () => undefined,
  };
}

describe("alternate", () => {
  it("times both sides in turn, without their first call", async () => {
    const calls: string[] = [];
    const sides = [side(0.25, "a", calls), side(0.5, "b", calls)];
    const timings = await alternate(sides, { repeats: 3, blockSeconds: 1 });
    expect(calls.slice(-6)).toEqual(["a", "b", "a", "b", "a", "b"]);
    expect(timings).toEqual([
      { median: 0.25, best: 0.25 },
      { median: 0.5, best: 0.5 },
    ]);
  });

  it("has the mean of the two middle numbers as the median of an even count", () => {
    expect(median([9, 1, 4, 2])).toBe(3);
    expect(median([5, 1, 3])).toBe(3);
  });
});

describe("residentMemory", () => {
  it("does a tenth of the iterations before those it samples, and sees memory that is kept", async () => {
    const kept: Uint8Array[] = [];
    let calls = 0;
    const curve = await residentMemory(200, async () => {
      calls++;
      kept.push(new Uint8Array(2 ** 20).fill(1));
    });
    expect(calls).toBe(220);
    expect(kept).toHaveLength(220);
    // From the median of the first tenth of 200 MiB to that of the last lie 180; the collector may free some elsewhere.
    expect(curve.end - curve.start).toBeGreaterThan(120);
    expect(curve.middle).toBeGreaterThan(curve.start);
  });
});

describe("ratioLine", () => {
  it("divides ours by the peer's, and leaves what was not measured null", () => {
    const line = ratioLine([
      { name: "a (ms)", ours: 1, peer: 4 },
      { name: "b (ms)", ours: 1, peer: null },
      { name: "c (ms)", ours: null, peer: 2 },
    ]);
    expect(JSON.parse(line)).toEqual({
      ratios: [
        { name: "a (ms)", ours: 1, peer: 4, ratio: 0.25 },
        { name: "b (ms)", ours: 1, peer: null, ratio: null },
        { name: "c (ms)", ours: null, peer: 2, ratio: null },
      ],
    });
  });
});

describe("breakdown", () => {
  const text = (envSteps: number, inference: number): string =>
    [
      "# HELP skein_actor_env_steps_total Environment steps taken",
      "# TYPE skein_actor_env_steps_total counter",
      `skein_actor_env_steps_total ${envSteps}`,
      `skein_actor_inference_seconds_bucket{le="0.5"} 3`,
      `skein_actor_inference_seconds_sum ${inference}`,
      "skein_actor_inference_seconds_count 3",
      "skein_learner_update_seconds_sum 1.5",
    ].join("\n");

  it("divides what each role's processes spent in a window by the steps they took in it", () => {
    const before = new Map<string, number>();
    sumSamples(text(1000, 1), before);
    const after = new Map<string, number>();
    sumSamples(text(4000, 1.25), after);
    sumSamples(text(2000, 0.5), after);
    // (1.25 + 0.5 − 1) s over (4000 + 2000 − 1000) steps = 150 µs; the learner reports no steps, so has no part.
    expect(breakdown(between(before, after))).toEqual([
      { role: "actor", name: "inference", microsecondsPerEnvStep: 150 },
    ]);
  });

  it("weighs repeats by their steps", () => {
    const repeat = (steps: number, seconds: number): Map<string, number> =>
      new Map([
        ["skein_learner_env_steps_total", steps],
        ["skein_learner_batch_wait_seconds_sum", seconds],
      ]);
    expect(breakdown(total([repeat(1000, 0.001), repeat(3000, 0.007)]))).toEqual([
      { role: "learner", name: "batch wait", microsecondsPerEnvStep: 2 },
    ]);
  });
});

describe("LineProcess", () => {
  const node = (script: string): LineProcess => LineProcess.node("it", ["-e", script]);

  it("gives a program's lines in order, then why it ended", async () => {
    const lines = node(
      `process.stdin.once("data", (data) => { console.log("one"); console.log(String(data).trim()); ` +
        `console.error("no such tool"); process.exitCode = 3; process.stdin.destroy(); })`,
    );
    lines.write("two");
    expect([await lines.next(60), await lines.next(60)]).toEqual(["one", "two"]);
    await expect(lines.next(60)).rejects.toThrow("it: no such tool");
    await lines.close();
  });

  it("does not wait longer than it is told for a program that says nothing", async () => {
    const lines = node("process.stdin.resume()");
    await expect(lines.next(0.05)).rejects.toThrow("it: no line for 0.05 s");
    await lines.close();
  });
});
