/** All that a view shows, gathered from the events of a run; bounded, however long the run. */
import type {
  FinishedEvent,
  ListeningEvent,
  NoticeEvent,
  ProgressEvent,
  RunEvent,
} from "../../core/progress.js";
import type { RunHeader } from "./view.js";

export interface CurvePoint {
  readonly envSteps: number;
  readonly meanReturn100: number;
}

export interface ViewState {
  readonly header: RunHeader;
  /** Finite returns by time; a long run keeps every 2nd, 4th … of them and always the newest. */
  readonly points: readonly CurvePoint[];
  readonly latest: ProgressEvent | null;
  /** Highest meanReturn100 seen; NaN before the first. */
  readonly best: number;
  /** The last few, oldest first. */
  readonly notices: readonly NoticeEvent[];
  /** The newest of each role. */
  readonly services: readonly ListeningEvent[];
  readonly finished: FinishedEvent | null;
}

const MAX_POINTS = 2048;
const MAX_NOTICES = 8;

export function initialState(header: RunHeader): ViewState {
  return { header, points: [], latest: null, best: Number.NaN, notices: [], services: [], finished: null };
}

/** `points` and one more; past the limit every second one goes. */
function withPoint(points: readonly CurvePoint[], point: CurvePoint): readonly CurvePoint[] {
  const kept = points.length < MAX_POINTS ? points : points.filter((_, i) => i % 2 === 0);
  return [...kept, point];
}

function afterProgress(state: ViewState, event: ProgressEvent): ViewState {
  const { envSteps, meanReturn100 } = event;
  if (!Number.isFinite(meanReturn100)) return { ...state, latest: event };
  return {
    ...state,
    latest: event,
    points: withPoint(state.points, { envSteps, meanReturn100 }),
    best: state.best >= meanReturn100 ? state.best : meanReturn100,
  };
}

/** The state after `event`. */
export function nextState(state: ViewState, event: RunEvent): ViewState {
  switch (event.event) {
    case "progress":
      return afterProgress(state, event);
    case "notice":
      return { ...state, notices: [...state.notices, event].slice(-MAX_NOTICES) };
    case "listening":
      return { ...state, services: [...state.services.filter(({ role }) => role !== event.role), event] };
    case "finished":
      return { ...state, finished: event };
  }
}
