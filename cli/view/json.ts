/** Events as they come, one JSON object a line, for programs. */
import type { RunEvent } from "../../core/progress.js";
import type { View, ViewStream } from "./view.js";

/** One line without its end; NaN and infinity become null, as JSON.stringify has it. */
export function jsonLine(event: RunEvent): string {
  return JSON.stringify(event);
}

export class JsonView implements View {
  constructor(private readonly stream: ViewStream) {}

  event(event: RunEvent): void {
    this.stream.write(`${jsonLine(event)}\n`);
  }

  close(): void {}
}
