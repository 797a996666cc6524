import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { createView } from "../../cli/view/create-view.js";
import type { View } from "../../cli/view/view.js";
import { FakeClock, finished, header, notice, progress } from "./events.js";
import { Screen } from "./screen.js";

function live(screen: Screen, clock: FakeClock, color = false): View {
  return createView({ mode: "live", stream: screen, header, color, clock });
}

describe("the live view", () => {
  it("draws at once, without cursor, and says what it waits for", () => {
    const screen = new Screen(80, 24);
    const view = live(screen, new FakeClock());
    expect(screen.text.join("\n")).toContain("waiting for the first batch");
    expect(screen.cursorVisible).toBe(false);
    view.close();
  });

  it("redraws in place: the screen holds the newest frame and nothing else", () => {
    const screen = new Screen(80, 24);
    const clock = new FakeClock();
    const view = live(screen, clock);
    for (let i = 1; i <= 30; i++) {
      view.event(progress({ envSteps: i * 1024, policyVersion: i, meanReturn100: i * 10 }));
      if (i === 5) view.event(notice("a notice so long that it takes two lines ".repeat(3)));
      clock.advance(100);
    }
    const text = screen.text.join("\n");
    expect(text.match(/env steps +30,720/g)).toHaveLength(1);
    expect(text.match(/skein cartpole/g)).toHaveLength(1);
    expect(screen.scrolledOff).toEqual([]);
    view.close();
  });

  it("draws at most ten frames a second, and the newest state in the end", () => {
    const screen = new Screen(80, 24);
    const clock = new FakeClock();
    const view = live(screen, clock);
    const before = screen.writes;
    for (let i = 1; i <= 1000; i++) {
      view.event(progress({ updates: i }));
      clock.advance(1);
    }
    expect(screen.writes - before).toBeLessThanOrEqual(10);
    clock.advance(100);
    expect(screen.text.join("\n")).toMatch(/updates +1,000/);
    view.close();
  });

  it("leaves the last frame, the verdict as last line and the cursor below it", () => {
    const screen = new Screen(80, 60);
    const view = live(screen, new FakeClock());
    view.event(progress());
    view.event(finished());
    view.event(notice("weights written"));
    view.close();
    expect(screen.cursorVisible).toBe(true);
    expect(screen.cursorRow).toBe(screen.text.length);
    expect(screen.text[screen.text.length - 1]).toMatch(/^(Solved: .*)?in 21\.4 s$|^21\.4 s$/);
    const text = screen.text.join(" ");
    expect(text).toContain("Solved: mean return 476.2 over the last 100 episodes after 143,360 env steps");
    expect(text).toContain("weights written");
    expect(text).toMatch(/env steps +143,360 of 200,000/);
  });

  it("scrolls a last frame that is taller than the terminal instead of cutting it", () => {
    const screen = new Screen(40, 12);
    const view = live(screen, new FakeClock());
    view.event(progress());
    view.event(
      notice("the checkpoint could not be written: disk full; free some space and resume ".repeat(2)),
    );
    view.event(finished({ reason: "failed" }));
    view.close();
    const all = [...screen.scrolledOff, ...screen.text].map((line) => line.trim()).join(" ");
    expect(all).toContain("free some space and resume");
    expect(all).toContain("Failed: mean return 476.2");
    expect(all.match(/skein cartpole/g)).toHaveLength(1);
  });

  it("leaves no remnants when the terminal is made narrower", () => {
    const screen = new Screen(100, 60);
    const clock = new FakeClock();
    const view = live(screen, clock);
    view.event(progress());
    clock.advance(100);
    screen.resize(45, 60);
    clock.advance(100);
    const text = screen.text;
    expect(text.join("\n").match(/cartpole/g)).toHaveLength(2);
    expect(text.join("\n").match(/best/g)).toHaveLength(1);
    view.close();
  });

  it("has no timer and no listener left once it is closed, and stays silent", () => {
    const screen = new Screen(80, 24);
    const clock = new FakeClock();
    const view = live(screen, clock);
    view.event(progress());
    view.event(progress({ updates: 2 }));
    expect(clock.pending).toBe(1);
    view.close();
    expect(clock.pending).toBe(0);
    expect(screen.resizeListeners).toBe(0);
    const { writes } = screen;
    view.event(progress());
    view.close();
    clock.advance(1000);
    expect(screen.writes).toBe(writes);
  });

  it("uses colours only where asked", () => {
    for (const color of [false, true]) {
      const screen = new Screen(80, 24);
      const view = live(screen, new FakeClock(), color);
      view.event(progress());
      view.close();
      expect(screen.colours > 0).toBe(color);
    }
  });

  it("takes 80 × 24 for a stream that does not know its size", () => {
    const stream = new PassThrough();
    const view = createView({ mode: "live", stream, header, color: false, clock: new FakeClock() });
    view.event(progress());
    view.close();
    const written = (stream.read() as Buffer).toString();
    // eslint-disable-next-line no-control-regex
    const lines = written.replace(/\u001b\[[?\d;]*[A-Za-z]|\r/g, "").split("\n");
    expect(Math.max(...lines.map((line) => line.length))).toBe(80);
  });
});
