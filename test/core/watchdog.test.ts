import { afterEach, describe, expect, it } from "vitest";
import { createLogger } from "../../core/telemetry/logger.js";
import { Watchdog, type WatchdogOptions } from "../../core/watchdog.js";
import { eventually, failureOf } from "../transport/helpers.js";

const open: Watchdog[] = [];
afterEach(() => open.splice(0).forEach((dog) => dog.close()));

/** A watchdog of 600 s on a clock of the test's; `pass` moves it by steps of its own timer, 60 s, and looks. */
function dogOf(options: Partial<WatchdogOptions> = {}): {
  dog: Watchdog;
  state: () => string;
  pass: (seconds: number, step?: number) => Promise<void>;
} {
  let clock = 1000;
  let state = "quiet";
  const log = createLogger({ role: "actor", level: "silent" });
  const dog = new Watchdog({ seconds: 600, role: "actor", now: () => clock, log, ...options });
  open.push(dog);
  dog.failed.catch((error: Error) => (state = error.message));
  const pass = async (seconds: number, step = 60): Promise<void> => {
    for (let left = seconds; left > 0; left -= step) {
      clock += Math.min(step, left);
      await dog.look();
    }
    await new Promise(setImmediate);
  };
  return { dog, state: () => state, pass };
}

describe("a watchdog", () => {
  it("says who waits for what, and since when, once nothing has gone on for so long", async () => {
    const { dog, state, pass } = dogOf();
    const work = dog.waiting("seat 0", "work from the coordinator at host:1");
    await pass(300);
    dog.waiting("seat 1", "the learner at host:2 to take a rollout");
    dog.waiting("seat 2", "weights of version 3")();
    await pass(240);
    expect(state()).toBe("quiet");
    await pass(60);
    expect(state()).toBe(
      "actor: no progress for 600 s: seat 0 waits for work from the coordinator at host:1 (since 600 s); " +
        "seat 1 waits for the learner at host:2 to take a rollout (since 300 s)",
    );
    expect((await failureOf(dog.failed)).code).toBe("STALLED");
    work();
  });

  it("says what its owner waits for where nobody told it of a wait", async () => {
    const { state, pass } = dogOf({ waits: () => "version 3" });
    await pass(600);
    expect(state()).toBe("actor: no progress for 600 s: version 3");
  });

  it("begins to count anew at every progress", async () => {
    const { dog, state, pass } = dogOf();
    for (let k = 0; k < 20; k++) {
      await pass(540);
      dog.progress();
    }
    expect(state()).toBe("quiet");
    await pass(600);
    expect(state()).toBe("actor: no progress for 600 s: nothing says what it waits for");
  });

  it("does not count the time in which its process stood still", async () => {
    const { state, pass } = dogOf();
    await pass(300);
    await pass(100_000, 100_000);
    await pass(120);
    expect(state()).toBe("quiet");
    await pass(120);
    expect(state()).toContain("no progress for 600 s");
  });

  it("counts a pause as progress, and a question about it that fails as none", async () => {
    let answer = (): Promise<boolean> => Promise.resolve(true);
    const { state, pass } = dogOf({ paused: () => answer() });
    await pass(6000);
    expect(state()).toBe("quiet");
    answer = () => Promise.reject(new Error("nobody answers"));
    await pass(540);
    expect(state()).toBe("quiet");
    await pass(120);
    expect(state()).toContain("no progress for 600 s");
  });

  it("looks by itself", async () => {
    let over = false;
    const { dog } = dogOf({ seconds: 0.05, now: () => performance.now() / 1000 });
    dog.failed.catch(() => (over = true));
    await eventually("the end of its patience", () => over);
  });
});
