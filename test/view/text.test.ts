import { describe, expect, it } from "vitest";
import { fit, flow, lineWidth, paint, sanitise, span, widthOf, wrap } from "../../cli/view/text.js";

const plain = (line: ReturnType<typeof fit>): string => line.map(({ text }) => text).join("");

describe("text on the screen", () => {
  it("is measured in columns: two for East Asian characters and emoji, none for combining marks", () => {
    expect(widthOf("cartpole")).toBe(8);
    expect(widthOf("走る")).toBe(4);
    expect(widthOf("🚀")).toBe(2);
    expect(widthOf("👩‍🚀")).toBe(2);
    expect(widthOf("e\u0301")).toBe(1);
    expect(widthOf("⣀⡠ ━╸ −3 …")).toBe(10);
  });

  it("is cut to fit, with an ellipsis and its style kept, never inside a wide character", () => {
    const line = [span("run ", "dim"), span("走る人", "strong")];
    for (let columns = 0; columns <= 12; columns++)
      expect(lineWidth(fit(line, columns))).toBeLessThanOrEqual(columns);
    expect(plain(fit(line, 10))).toBe("run 走る人");
    expect(plain(fit(line, 8))).toBe("run 走…");
    expect(fit(line, 8)[1]!.style).toBe("strong");
  });

  it("is wrapped at spaces, and inside words only where it must be, with nothing lost", () => {
    const text = "weights written to runs/cartpole-20250801-101500/checkpoints/00000140 now";
    for (let columns = 2; columns <= 80; columns++) {
      const lines = wrap(text, columns);
      for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(columns);
      expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
    }
    expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
  });

  it("flows in pieces that stay whole", () => {
    const pieces = ["aaa", "bbb", "ccc"].map((text) => [span(text)]);
    expect(flow(pieces, 8, "  ").map(plain)).toEqual(["aaa  bbb", "ccc"]);
    expect(flow(pieces, 7, "  ").map(plain)).toEqual(["aaa", "bbb", "ccc"]);
  });

  it("cannot move the cursor, change colours or break lines by itself", () => {
    expect(sanitise("a\u001b[2Jb\u001b]0;title\u0007c\u001b[31md")).toBe("abcd");
    expect(sanitise("one\ntwo\r\n\tthree\u0000\u009b")).toBe("one two three");
  });

  it("has colours only where asked, and ends each", () => {
    const line = [span("ok", "good"), span(" "), span("no", "bad")];
    expect(paint(line, false)).toBe("ok no");
    // eslint-disable-next-line no-control-regex
    expect(paint(line, true).replace(/\u001b\[[\d;]*m/g, "")).toBe("ok no");
    expect(paint(line, true).endsWith("\u001b[0m")).toBe(true);
  });
});
