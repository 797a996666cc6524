import { describe, expect, it } from "vitest";
import { learningCurveSvg, type CurvePoint } from "../../core/telemetry/curve.js";

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Elements of an SVG in order; throws where tags do not balance. */
function elements(svg: string): Element[] {
  const result: Element[] = [];
  const stack: string[] = [];
  for (const [, close, name, rest, self, text] of svg.matchAll(
    /<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>([^<]*)/g,
  )) {
    if (close === "/") {
      if (stack.pop() !== name) throw new Error(`</${name}> closes nothing`);
      continue;
    }
    if (self !== "/") stack.push(name!);
    const pairs = [...rest!.matchAll(/([\w:-]+)="([^"]*)"/g)];
    const attributes: Record<string, string> = Object.fromEntries(
      pairs.map(([, key, value]) => [key!, value!] as const),
    );
    result.push({ name: name!, attributes, text: text! });
  }
  if (stack.length > 0) throw new Error(`not closed: ${stack.join(", ")}`);
  if ((svg.match(/</g) ?? []).length !== (svg.match(/>/g) ?? []).length) throw new Error("stray < or >");
  return result;
}

function coordinates(element: Element): [x: number, y: number][] {
  return element.attributes["points"]!.split(" ").map(
    (pair) => pair.split(",").map(Number) as [number, number],
  );
}

const polylines = (svg: string): [number, number][][] =>
  elements(svg)
    .filter(({ name }) => name === "polyline")
    .map(coordinates);
const texts = (svg: string): string[] =>
  elements(svg)
    .filter(({ name }) => name === "text")
    .map(({ text }) => text);
const curve = (values: readonly (number | null)[]): CurvePoint[] =>
  values.map((meanReturn100, i) => ({ envSteps: (i + 1) * 1000, meanReturn100 }));

describe("learningCurveSvg", () => {
  it("draws points where a linear scale puts them, up = better", () => {
    const [line] = polylines(learningCurveSvg(curve([0, 100, 50, 100]), { title: "t" }));
    const [[x0, y0], [x1, y1], [x2, y2], [x3, y3]] = line as [number, number][] as [
      [number, number],
      [number, number],
      [number, number],
      [number, number],
    ];
    expect(x2 - x1).toBeCloseTo(x1 - x0, 0);
    expect(x3 - x2).toBeCloseTo(x1 - x0, 0);
    expect(y1).toBeLessThan(y0);
    expect(y2).toBeCloseTo((y0 + y1) / 2, 0);
    expect(y3).toBe(y1);
  });

  it("leaves a gap where the return is NaN or null", () => {
    const svg = learningCurveSvg(curve([Number.NaN, 1, 2, null, 3, 4, 5]), { title: "t" });
    expect(polylines(svg).map((line) => line.length)).toEqual([2, 3]);
    expect(svg).not.toMatch(/NaN|Infinity|null|undefined/);
  });

  it("puts the threshold, dashed and labelled, on the curve's scale", () => {
    const svg = learningCurveSvg(curve([475, 0, 475]), { title: "t", threshold: 475 });
    const dashed = elements(svg).filter(({ attributes }) => "stroke-dasharray" in attributes);
    expect(dashed).toHaveLength(1);
    expect(Number(dashed[0]!.attributes["y1"])).toBe(polylines(svg)[0]![0]![1]);
    expect(texts(svg)).toContain("solved at 475");
    expect(learningCurveSvg(curve([1, 2]), { title: "t" })).not.toContain("dasharray");
  });

  it("names the last return, the axes with their units, and the title", () => {
    const shown = texts(learningCurveSvg(curve([21, 300, 476.24]), { title: "CartPole-v1" }));
    expect(shown).toEqual(expect.arrayContaining(["476.2", "environment steps", "CartPole-v1"]));
    expect(shown.join(" ")).toContain("mean return of the last 100 episodes");
  });

  it("shows one point as a dot, and says so where there is none", () => {
    const one = elements(learningCurveSvg(curve([21.5]), { title: "t", threshold: 475 }));
    expect(one.some(({ name }) => name === "circle")).toBe(true);
    for (const points of [[], curve([Number.NaN, Number.NaN])]) {
      const none = learningCurveSvg(points, { title: "t", threshold: 475 });
      expect(texts(none)).toContain("no episode has ended yet");
      expect(none).not.toMatch(/NaN|Infinity|<circle|<polyline/);
    }
  });

  it("stays inside its frame and well-formed, whatever the title and the values", () => {
    const wild = [-1e9, 3, 1e-9, 1e9, 0, -0, 5];
    const svg = learningCurveSvg(curve(wild), {
      title: `<b>&"'\u0007 ${"long ".repeat(40)}`,
      threshold: -1e9,
    });
    expect(svg).not.toContain("<b>");
    expect(svg).not.toContain("\u0007");
    for (const { attributes } of elements(svg)) {
      for (const key of ["x", "x1", "x2", "cx"])
        if (key in attributes) expect(Number(attributes[key])).toBeLessThanOrEqual(720);
      for (const key of ["y", "y1", "y2", "cy"])
        if (key in attributes) expect(Number(attributes[key])).toBeLessThanOrEqual(380);
    }
    for (const [x, y] of polylines(svg).flat()) {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(x).toBeLessThanOrEqual(720);
      expect(y).toBeGreaterThanOrEqual(0);
      expect(y).toBeLessThanOrEqual(380);
    }
  });

  it("keeps a long run small and still ends at its last step", () => {
    const points = curve(Array.from({ length: 100_000 }, (_, i) => Math.sqrt(i)));
    const svg = learningCurveSvg(points, { title: "t" });
    expect(svg.length).toBeLessThan(40_000);
    const line = polylines(svg)[0]!;
    const dot = elements(svg).find(({ name }) => name === "circle")!;
    expect(line[line.length - 1]![0]).toBe(Number(dot.attributes["cx"]));
  });

  it("refers to nothing outside itself", () => {
    const svg = learningCurveSvg(curve([1, 2, 3]), { title: "t", threshold: 3 });
    expect(svg).not.toMatch(/href|url\(|<script|<image|<style/);
  });
});
