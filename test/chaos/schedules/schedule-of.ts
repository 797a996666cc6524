/** What most schedules have in common. */
import type { Schedule, TransportKind } from "../schedule.js";

export const BOTH: readonly TransportKind[] = ["grpc", "nats"];

type Given = Pick<Schedule, "name" | "title" | "steps"> & Partial<Schedule>;

export function schedule(given: Given): Schedule {
  return { transports: BOTH, needs: {}, ci: false, deadlineSeconds: 150, settings: {}, ...given };
}
