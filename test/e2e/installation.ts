/** A copy of the built package whose installation is not what it should be. */
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RUNTIME = "onnxruntime-node";

export interface Printed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Installation {
  readonly folder = mkdtempSync(join(tmpdir(), "skein-installation-"));

  /** All packages of this one but ONNX Runtime. */
  constructor() {
    cpSync(join(ROOT, "dist"), join(this.folder, "dist"), { recursive: true });
    cpSync(join(ROOT, "package.json"), join(this.folder, "package.json"));
    mkdirSync(join(this.folder, "node_modules"));
    for (const name of readdirSync(join(ROOT, "node_modules"))) {
      if (name === RUNTIME || name.startsWith(".")) continue;
      symlinkSync(join(ROOT, "node_modules", name), join(this.folder, "node_modules", name));
    }
  }

  /** Adds ONNX Runtime with its own native libraries, but for those of GPUs, or with one that is no library. */
  addRuntime(libraries: "without GPU" | "broken"): void {
    const from = join(ROOT, "node_modules", RUNTIME);
    const to = join(this.folder, "node_modules", RUNTIME);
    const bin = join("bin", "napi-v6", process.platform, process.arch);
    mkdirSync(join(to, bin), { recursive: true });
    cpSync(join(from, "dist"), join(to, "dist"), { recursive: true });
    cpSync(join(from, "package.json"), join(to, "package.json"));
    if (libraries === "broken") {
      writeFileSync(join(to, bin, "onnxruntime_binding.node"), "not a library");
      return;
    }
    for (const name of readdirSync(join(from, bin))) {
      if (!name.includes("providers")) symlinkSync(join(from, bin, name), join(to, bin, name));
    }
  }

  skein(...args: string[]): Promise<Printed> {
    return this.node(join(this.folder, "dist/cli/main.js"), ...args);
  }

  /** Runs a module; `import` of its own files by paths relative to the folder. */
  async script(source: string): Promise<Printed> {
    const path = join(this.folder, "script.mjs");
    writeFileSync(path, source);
    return this.node(path);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  private node(...args: string[]): Promise<Printed> {
    return new Promise((resolve) => {
      execFile(process.execPath, args, { cwd: this.folder }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      });
    });
  }
}
