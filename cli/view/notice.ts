/** A notice as one line of text. */
import type { NoticeEvent } from "../../core/progress.js";
import { sanitise } from "./text.js";

/** `warn: actor-2 died … [PROCESS_DIED]`; the level is left out where it is info. */
export function noticeText({ level, message, code }: NoticeEvent): string {
  const prefix = level === "info" ? "" : `${level}: `;
  const suffix = code === undefined ? "" : ` [${code}]`;
  return prefix + sanitise(message) + suffix;
}
