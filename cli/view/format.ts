/** Numbers as people read them. What is not finite is shown as a dash. */

export const UNKNOWN = "–";

function minus(text: string): string {
  return text.replace("-", "−");
}

/** 143,360 */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return UNKNOWN;
  return minus((Math.round(value) + 0).toLocaleString("en-US"));
}

/** A value of any size in about four digits: 476.2, 0.734, 12,345, 8.2e−5. */
export function formatValue(value: number): string {
  if (!Number.isFinite(value)) return UNKNOWN;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1000) return formatCount(value);
  if (size >= 100) return minus(value.toFixed(1));
  if (size >= 10) return minus(value.toFixed(2));
  if (size >= 0.001) return minus(value.toFixed(3));
  return minus(value.toExponential(1));
}

/** A rate per second: 6,702, 26.2, 0.71. */
export function formatRate(value: number): string {
  if (!Number.isFinite(value)) return UNKNOWN;
  if (Math.abs(value) >= 100) return formatCount(value);
  return minus(value.toFixed(Math.abs(value) >= 10 ? 1 : 2));
}

/** A fraction of 1 in percent, rounded down so that 100 % means all. */
export function formatPercent(fraction: number): string {
  return Number.isFinite(fraction) ? `${Math.floor(fraction * 100 + 1e-9)} %` : UNKNOWN;
}

function coarse(wholeSeconds: number): string {
  const minutes = Math.floor(wholeSeconds / 60);
  const hours = Math.floor(minutes / 60);
  const two = (value: number): string => String(value).padStart(2, "0");
  if (hours >= 24) return `${Math.floor(hours / 24)} d ${two(hours % 24)} h`;
  if (hours > 0) return `${hours} h ${two(minutes % 60)} min`;
  return `${minutes} min ${two(wholeSeconds % 60)} s`;
}

/** Seconds gone by: 21.4 s, 3 min 20 s, 2 h 05 min, 3 d 04 h. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return UNKNOWN;
  return seconds < 59.95 ? `${seconds.toFixed(1)} s` : coarse(Math.round(seconds));
}

/** Seconds to come, which are never known to a tenth: 8 s, 3 min 20 s. */
export function formatEta(seconds: number): string {
  if (!Number.isFinite(seconds) || seconds < 0) return UNKNOWN;
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : coarse(whole);
}
