/** `skein pause` and `skein resume`: hold the fleet for a while. */
import { withControl } from "../../core/transport/create.js";
import type { CommandHost } from "./host.js";

interface Where {
  readonly coordinator: string;
}

export async function pause(
  host: CommandHost,
  { coordinator, seconds, reason }: Where & { readonly seconds: number; readonly reason: string },
): Promise<number> {
  await withControl(coordinator, host.signal, (control) => control.pause({ seconds, reason }));
  process.stdout.write(`No work is handed out for ${seconds} s; skein resume ends it earlier.\n`);
  return 0;
}

export async function resume(host: CommandHost, { coordinator }: Where): Promise<number> {
  await withControl(coordinator, host.signal, (control) => control.resume());
  process.stdout.write("Work is handed out again.\n");
  return 0;
}
