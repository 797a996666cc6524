// What the checks of engines that not every machine has (check-native, check-gpu) share.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** With --require, what would be skipped is a failure: for machines that are meant to have all it takes. */
export const required = process.argv.includes("--require");

/** Ends the check because this machine lacks something. */
export function skip(reason) {
  console.log(`${required ? "FAILED" : "skipped"}: ${reason}`);
  process.exit(required ? 1 : 0);
}

export function fail(reason) {
  console.error(`FAILED: ${reason}`);
  process.exit(1);
}

/** Runs a command with its output shown; whether it succeeded. */
export function run(command, args, { env = {}, cwd = ROOT } = {}) {
  console.log(`$ ${[command, ...args].join(" ")}`);
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit", env: { ...process.env, ...env } });
  return status === 0;
}

/** What a command prints, trimmed; null where it fails or is not there. */
export function output(command, args, { env = {} } = {}) {
  const { status, stdout } = spawnSync(command, args, {
    cwd: ROOT,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...env },
  });
  return status === 0 ? stdout.trim() : null;
}

/** Every engine as `skein doctor` finds it: {id, available, detail}. Builds first. */
export function engines(env = {}) {
  if (!run("npm", ["run", "--silent", "build"])) fail("the build failed");
  const report = output(process.execPath, ["dist/cli/main.js", "doctor", "--json"], { env });
  if (report === null) fail("skein doctor found this machine unfit; run: node dist/cli/main.js doctor");
  const { engines: found } = JSON.parse(report);
  for (const { id, available, detail } of found)
    console.log(`${available ? "ok  " : "none"}  ${id}: ${detail}`);
  return found;
}

/** Runs those tests of the files named whose title names one of the engines; fails where any fails. */
export function testOn(ids, files, env = {}, options = []) {
  if (!run("npx", ["vitest", "run", ...files, "-t", ids.join("|"), ...options], { env })) {
    fail(`the tests failed on ${ids.join(", ")}`);
  }
}
