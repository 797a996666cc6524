/** Every schedule there is. */
import type { Schedule } from "../schedule.js";
import { damages } from "./damages.js";
import { groups } from "./groups.js";
import { kills } from "./kills.js";
import { silences } from "./silences.js";

export const schedules: readonly Schedule[] = [...damages, ...groups, ...kills, ...silences];
