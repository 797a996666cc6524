#!/usr/bin/env node
/** The `skein` command: parses, runs one command, says what went wrong and exits. */
import { constants } from "node:os";
import { terminalPreferences } from "../core/config/load.js";
import { toSkeinError } from "../core/errors.js";
import type { CommandHost } from "./commands/host.js";
import { createProgram } from "./program.js";

const json = process.argv.includes("--json");
const stop = new AbortController();
let signalled: NodeJS.Signals | null = null;
let lastWords: () => void = () => undefined;

function fail(error: unknown): never {
  const { code, message, stack } = toSkeinError(error);
  lastWords();
  if (json) process.stdout.write(`${JSON.stringify({ event: "notice", level: "error", code, message })}\n`);
  process.stderr.write(`skein: ${message}\n`);
  if (code === "INTERNAL" && stack !== undefined) process.stderr.write(`${stack}\n`);
  process.exit(1);
}

function onSignal(signal: NodeJS.Signals): void {
  if (signalled !== null) {
    lastWords();
    process.exit(128 + constants.signals[signal]);
  }
  signalled = signal;
  stop.abort();
}

process.on("SIGINT", onSignal);
process.on("SIGTERM", onSignal);
process.on("uncaughtException", fail);
process.on("unhandledRejection", fail);
// A reader that went away (`skein … | head`) ends the command like a first signal, without a stack.
process.stdout.on("error", () => stop.abort());
if (process.connected) {
  process.once("disconnect", () => stop.abort());
  process.channel?.unref();
}

const host: CommandHost = {
  signal: stop.signal,
  color: terminalPreferences().color,
  onForcedExit: (last) => (lastWords = last),
  signalExitCode: () => (signalled === null ? 0 : 128 + constants.signals[signalled]),
};

try {
  process.exitCode = await createProgram(host).run(process.argv.slice(2));
} catch (error) {
  fail(error);
}
process.exit();
