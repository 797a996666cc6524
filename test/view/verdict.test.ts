import { describe, expect, it } from "vitest";
import { verdict } from "../../cli/view/verdict.js";
import { finished } from "./events.js";

describe("verdict", () => {
  it("says what was reached, over how many episodes, after how much, in what time", () => {
    expect(verdict(finished(), 1120).text).toBe(
      "Solved: mean return 476.2 over the last 100 episodes after 143,360 env steps in 21.4 s",
    );
  });

  it("does not speak of 100 episodes where there were fewer", () => {
    expect(verdict(finished(), 37).text).toContain("over 37 episodes");
    expect(verdict(finished(), 1).text).toContain("over 1 episode ");
    expect(verdict(finished(), null).text).toContain("over the last 100 episodes");
  });

  it("names each way to end, and says where no episode ended", () => {
    expect(verdict(finished({ reason: "steps" }), 200).text).toMatch(/^Finished: mean return/);
    expect(verdict(finished({ reason: "stopped" }), 200).text).toMatch(/^Stopped: mean return/);
    const failed = verdict(finished({ reason: "failed", meanReturn100: Number.NaN, envSteps: 1024 }), 0);
    expect(failed.text).toBe("Failed: no episode has ended after 1,024 env steps in 21.4 s");
    expect(failed.style).toBe("bad");
  });
});
