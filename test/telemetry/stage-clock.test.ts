import { describe, expect, it } from "vitest";
import { createActorMetrics } from "../../core/telemetry/metrics.js";
import { StageClock } from "../../core/telemetry/stage-clock.js";
import { SEAT_STAGES, type SeatStage } from "../../core/telemetry/tables/actor.js";
import { Random } from "../../core/random.js";
import { parsePrometheus, valueOf } from "./prometheus.js";

describe("a stage clock", () => {
  it("counts every second in one stage, so that the stages add up to the time that passed", async () => {
    const metrics = createActorMetrics({ processMetrics: false });
    let now = 100;
    const clock = new StageClock<SeatStage>(metrics.seatSeconds, () => now, "work");
    const spent = new Map<SeatStage, number>(SEAT_STAGES.map((stage) => [stage, 0]));
    const random = new Random(1);
    let stage: SeatStage = "work";
    for (let k = 0; k < 200; k++) {
      // Eighths of a second add up without rounding.
      const seconds = random.integer(40) / 8;
      now += seconds;
      spent.set(stage, spent.get(stage)! + seconds);
      if (k % 3 === 0) clock.count();
      else clock.enter((stage = SEAT_STAGES[random.integer(SEAT_STAGES.length)]!));
    }
    clock.count();
    const page = parsePrometheus(await metrics.registry.metrics());
    const seconds = SEAT_STAGES.map((name) =>
      valueOf(page, "skein_actor_seat_seconds_total", { stage: name }),
    );
    expect(seconds).toEqual(SEAT_STAGES.map((name) => spent.get(name)));
    expect(seconds.reduce((sum, part) => sum + part, 0)).toBe(now - 100);
  });
});
