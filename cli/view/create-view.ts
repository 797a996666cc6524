/** Chooses how a run is shown. */
import type { Clock } from "./clock.js";
import { JsonView } from "./json.js";
import { PlainView } from "./plain.js";
import { TerminalView } from "./terminal.js";
import type { RunHeader, View, ViewStream } from "./view.js";

export type ViewMode = "live" | "plain" | "json";

export interface ViewOptions {
  readonly mode: ViewMode;
  readonly stream: ViewStream;
  readonly header: RunHeader;
  /** Live view only: with colours. */
  readonly color: boolean;
  /** The system's by default. */
  readonly clock?: Clock;
}

/** `live` is for terminals only; `plain` and `json` are for anything that takes text. */
export function createView(options: ViewOptions): View {
  switch (options.mode) {
    case "live":
      return new TerminalView(options);
    case "plain":
      return new PlainView(options.stream, options.header);
    case "json":
      return new JsonView(options.stream);
  }
}
