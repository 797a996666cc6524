import { describe, expect, it } from "vitest";
import { renderFrame } from "../../cli/view/frame.js";
import { initialState, nextState, type ViewState } from "../../cli/view/state.js";
import { widthOf } from "../../cli/view/text.js";
import { finished, header, notice, progress, stateAfter } from "./events.js";

const long =
  "actor-2 died (exit 137); its 3 requests are void and a new process takes its place, 走る 🚀 ".repeat(3);

function busy(): ViewState {
  let state = stateAfter(40);
  for (const role of ["coordinator", "learner", "actor"] as const) {
    state = nextState(state, {
      event: "listening",
      role,
      pid: 4711,
      address: "127.0.0.1:5000",
      http: "http://127.0.0.1:9464",
    });
  }
  state = nextState(state, notice(long, { level: "warn", code: "PROCESS_DIED" }));
  return nextState(state, notice("checkpoint of version 140 written"));
}

const states: readonly (readonly [name: string, state: ViewState])[] = [
  ["before the first batch", initialState(header)],
  ["before the first episode", nextState(initialState(header), progress({ meanReturn100: Number.NaN }))],
  ["with one point", nextState(initialState(header), progress())],
  ["with everything", busy()],
  ["at the end", nextState(busy(), finished())],
  [
    "with a wide name",
    nextState(initialState({ ...header, runName: "走る人".repeat(20), runFolder: "" }), progress()),
  ],
];

/** Everything in the frame that reads like a number. */
const numbers = (lines: readonly string[]): string[] => lines.join("\n").match(/[\d,]*\d(?:\.\d+)?/g) ?? [];

describe("renderFrame", () => {
  it.each(states)("never exceeds the columns or rows there are, %s", (_, state) => {
    const narrow = Array.from({ length: 45 }, (_, i) => i + 1);
    for (const columns of [...narrow, 60, 79, 80, 99, 100, 101, 250]) {
      for (const rows of [1, 9, 19, 23, 39, Number.POSITIVE_INFINITY]) {
        const lines = renderFrame(state, columns, { rows });
        expect(lines.length).toBeLessThanOrEqual(rows);
        expect(lines.filter((line) => widthOf(line) > columns)).toEqual([]);
        // eslint-disable-next-line no-control-regex
        expect(lines.join("")).not.toMatch(/[\u0000-\u001f]|NaN|Infinity|undefined|null/);
      }
    }
  });

  it("shows who runs what where", () => {
    const text = renderFrame(stateAfter(3), 80).join("\n");
    for (const part of [
      "cartpole",
      "CartPole-v1",
      "ppo",
      "tfjs:wasm",
      "seed 11",
      "runs/cartpole-20250801-101500",
    ]) {
      expect(text).toContain(part);
    }
  });

  it("shows the figures of the last event under their names", () => {
    const text = renderFrame(stateAfter(20), 80).join("\n");
    for (const row of [
      /mean return +476\.2 +best 476\.2 +goal 475\.0/,
      /env steps +143,360 of 200,000 +6,702\/s/,
      /updates +5,601 +26\.2\/s/,
      /policy +version 141 +lag mean 0\.96 +max 2/,
      /actors +4\n/,
      /loss +policy −0\.012 +value 31\.24 +entropy 0\.523 +KL 0\.008 +clip 12\.1 %/,
      /71 % · ETA 9 s/,
      /running · 21\.4 s/,
    ]) {
      expect(text).toMatch(row);
    }
  });

  it("prints no number that is not in the events, the header or on the curve's axis", () => {
    const state = nextState(initialState({ ...header, runFolder: "runs/x" }), progress());
    const axis = renderFrame(state, 80).filter((line) => /[┤│]/.test(line));
    const rest = renderFrame(state, 80).filter((line) => !/[┤│]/.test(line));
    expect(axis.length).toBeGreaterThan(0);
    const known =
      "1 11 475.0 200,000 100 143,360 6,702 5,601 26.2 141 0.96 2 476.2 4 21.4 9 71 0.012 31.24 0.523 3 0.008 12.1";
    for (const number of numbers(rest)) expect(known.split(" ")).toContain(number);
  });

  it("keeps the best mean return when the present one is worse", () => {
    const state = nextState(stateAfter(20), progress({ meanReturn100: 301.5 }));
    expect(renderFrame(state, 80).join("\n")).toMatch(/mean return +301\.5 +best 476\.2/);
  });

  it("fills the bar in proportion, and to the end where the limit is passed", () => {
    const filled = (envSteps: number): number => {
      const bar = renderFrame(nextState(initialState(header), progress({ envSteps })), 80).find((line) =>
        line.includes("%"),
      )!;
      return (bar.match(/━/g) ?? []).length / (bar.match(/[━─╸]/g) ?? []).length;
    };
    expect(filled(0)).toBe(0);
    expect(filled(100_000)).toBeCloseTo(0.5, 1);
    expect(filled(200_000)).toBe(1);
    expect(filled(250_000)).toBe(1);
  });

  it("labels the curve's axis with ticks that enclose the returns and the goal", () => {
    const labels = renderFrame(stateAfter(40), 80)
      .map((line) => /^ *([\d.]+) ┤/.exec(line)?.[1])
      .filter((label) => label !== undefined)
      .map(Number);
    expect(labels[0]).toBeGreaterThanOrEqual(476.24);
    expect(labels[labels.length - 1]).toBeLessThanOrEqual(12);
    expect(labels).toEqual([...labels].sort((a, b) => b - a));
  });

  it("shows the goal as a dashed row and none where there is no goal", () => {
    expect(renderFrame(stateAfter(5), 80).some((line) => line.includes("╌╌╌╌"))).toBe(true);
    const aimless = nextState(initialState({ ...header, stopMeanReturn: null }), progress());
    expect(renderFrame(aimless, 80).join("\n")).not.toMatch(/╌|goal/);
  });

  it("gives up gaps, notices and the curve's height before it gives up figures", () => {
    const figures = (rows: number): string => renderFrame(busy(), 80, { rows }).join("\n");
    for (const rows of [12, 16, 23, 39]) {
      for (const part of ["476.2", "143,360", "5,601", "version 141", "entropy"])
        expect(figures(rows)).toContain(part);
    }
    expect(figures(23)).toContain("┤");
    expect(figures(10)).not.toContain("┤");
  });

  it("keeps a curve on a screen of 35 × 20", () => {
    expect(
      renderFrame(busy(), 35, { rows: 19 }).filter((line) => /[┤│]/.test(line)).length,
    ).toBeGreaterThanOrEqual(3);
  });

  it("shows the last notices with their level, and in full at the end", () => {
    const text = renderFrame(nextState(busy(), finished()), 80).join(" ").replace(/ +/g, " ");
    expect(text).toContain("warn: actor-2 died (exit 137)");
    expect(text).toContain("[PROCESS_DIED]");
    expect(text).toContain("checkpoint of version 140 written");
  });

  it("forgets old notices and never loses a service of another role", () => {
    let state = busy();
    for (let i = 0; i < 50; i++) {
      state = nextState(state, notice(`notice number ${i}`));
      state = nextState(state, {
        event: "listening",
        role: "actor",
        pid: 4711,
        address: "",
        http: `http://127.0.0.1:${6000 + i}`,
      });
    }
    const text = renderFrame(state, 80).join("\n");
    expect(text).toContain("notice number 49");
    expect(text).not.toContain("notice number 40");
    expect(text).toMatch(/coordinator metrics http/);
    expect(text).toMatch(/actor metrics http:\/\/127\.0\.0\.1:6049/);
    expect(state.notices.length).toBeLessThan(20);
    expect(state.services).toHaveLength(3);
  });

  it("stays bounded over a long run and keeps its first and last point", () => {
    let state = initialState(header);
    for (let i = 1; i <= 20_000; i++) state = nextState(state, progress({ envSteps: i, meanReturn100: i }));
    expect(state.points.length).toBeLessThanOrEqual(2100);
    expect(state.points[0]!.envSteps).toBe(1);
    expect(state.points[state.points.length - 1]!.envSteps).toBe(20_000);
  });

  it("shows stats of other names by those names", () => {
    const state = nextState(initialState(header), progress({ stats: { reinforce: 0.25, logZ: -3.5 } }));
    expect(renderFrame(state, 80).join("\n")).toMatch(/loss +reinforce 0\.250 +logZ −3\.500/);
  });

  it("says the same with colours as without", () => {
    const state = nextState(busy(), finished());
    // eslint-disable-next-line no-control-regex
    const bare = renderFrame(state, 80, { color: true }).map((line) => line.replace(/\u001b\[[\d;]*m/g, ""));
    expect(bare).toEqual(renderFrame(state, 80, { color: false }));
    expect(renderFrame(state, 80, { color: true }).join("")).toContain("\u001b[");
    expect(renderFrame(state, 80).join("")).not.toContain("\u001b");
  });
});
