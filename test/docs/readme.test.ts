import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseRunConfig } from "../../core/config/load.js";
import { resolveRecipe } from "../../core/recipes/index.js";
import { loadEnvironment } from "../../envs/index.js";

const root = fileURLToPath(new URL("../..", import.meta.url));
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "docs/architecture.md",
  "docs/engine.md",
  "docs/gpu.md",
  "docs/kernels.md",
  "docs/log.md",
  "bench/README.md",
];

function textOf(page: string): string {
  return readFileSync(join(root, page), "utf8");
}

function blocks(page: string, language: string): string[] {
  const fences = textOf(page).matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"));
  return [...fences].map((match) => match[1]!);
}

/** The anchor that a heading gets. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}

describe("the README", () => {
  it("shows run files that are accepted", () => {
    const files = blocks("README.md", "yaml");
    expect(files.length).toBeGreaterThan(0);
    for (const file of files) resolveRecipe(parseRunConfig(parse(file), "README.md").recipe);
  });

  it("shows an environment that works", async () => {
    const [source] = blocks("README.md", "js");
    const folder = await mkdtemp(join(tmpdir(), "skein-readme-"));
    try {
      const library = new URL("../../dist/core/index.js", import.meta.url).href;
      await writeFile(join(folder, "package.json"), '{ "type": "module" }');
      await writeFile(join(folder, "thermostat.js"), source!.replace('"skein"', `"${library}"`));
      const choice = { id: "Thermostat-v0", module: "./thermostat.js", params: {} };
      const vector = (await loadEnvironment(choice, folder)).vectorize(2);
      await vector.reset(Uint32Array.of(7, 7));
      let total = 0;
      for (let t = 1; t <= 200; t++) {
        // Heating whenever the room is too cold keeps it near 20 °C.
        const heat = Array.from(
          vector.observations.filter((_, k) => k % 2 === 0),
          (room) => (room < 0 ? 1 : 0),
        );
        await vector.step(Int32Array.from(heat));
        total += vector.rewards[0]!;
        expect(vector.rewards[1]).toBe(vector.rewards[0]);
        expect(vector.truncated[0]).toBe(t === 200 ? 1 : 0);
      }
      expect(total).toBeGreaterThan(150);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe.each(pages)("%s", (page) => {
  it("links to files and headings that are there", () => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)]+)\)/g)].map((match) => match[1]!);
    for (const link of links) {
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? join(root, page) : resolve(root, dirname(page), path);
      expect(existsSync(target), link).toBe(true);
      if (anchor === undefined) continue;
      const headings = [...readFileSync(target, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
        anchorOf(text!),
      );
      expect(headings, link).toContain(anchor);
    }
  });

  it("names files that are there", () => {
    const named = [
      ...textOf(page).matchAll(/`((?:core|services|envs|cli|test|examples|scripts|bench)\/[\w./-]*)`/g),
    ];
    for (const [, path] of named) expect(existsSync(join(root, path!)), path).toBe(true);
  });
});
