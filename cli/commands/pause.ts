/** `skein pause` and `skein resume`: hold the fleet for a while. */
import { withControl } from "../../core/transport/create.js";
import type { Control } from "../../core/transport/transport.js";
import { credentialsOf, type CredentialOptions } from "./credentials.js";
import type { CommandHost } from "./host.js";

interface Where extends CredentialOptions {
  readonly coordinator: string;
}

export async function pause(
  host: CommandHost,
  options: Where & { readonly seconds: number; readonly reason: string },
): Promise<number> {
  const { seconds, reason } = options;
  await ask(host, options, (control) => control.pause({ seconds, reason }));
  process.stdout.write(`No work is handed out for ${seconds} s; skein resume ends it earlier.\n`);
  return 0;
}

export async function resume(host: CommandHost, options: Where): Promise<number> {
  await ask(host, options, (control) => control.resume());
  process.stdout.write("Work is handed out again.\n");
  return 0;
}

async function ask(
  host: CommandHost,
  options: Where,
  question: (control: Control) => Promise<void>,
): Promise<void> {
  await withControl(options.coordinator, await credentialsOf(options), host.signal, question);
}
