// Numbers over time as lines: scales, ticks and what breaks a line. Pure, so that the component only draws.

/** One reading; null where it cannot be said. */
export interface Reading {
  /** Milliseconds since 1970. */
  at: number;
  value: number | null;
}

export type Unit = "cores" | "bytes" | "rate";

/** Readings further apart than this are not joined: no site on a wired or mobile link is silent for so long. */
const APART_MS = 35 * 60_000;

const NICE = [1, 1.5, 2, 3, 4, 5, 8, 10];

/** The least round number that is not below `value`: of powers of 1024 for bytes, of 10 for all else. */
export function roundUp(value: number, unit: Unit): number {
  if (value <= 0) return unit === "cores" ? 0.1 : 1_024;
  let base = 1;
  if (unit !== "cores") while (value / base >= 1_024) base *= 1_024;
  const ten = base * 10 ** Math.floor(Math.log10(value / base));
  const found = ten * NICE.find((each) => each * ten >= value * 0.999999)!;
  return unit !== "cores" && found > base * 1_000 ? base * 1_024 : found;
}

/** Runs of readings that belong together. */
export function runs(readings: Reading[]): Reading[][] {
  const found: Reading[][] = [];
  let before: Reading | null = null;
  for (const each of readings) {
    if (each.value !== null) {
      if (before && each.at - before.at <= APART_MS) found.at(-1)!.push(each);
      else found.push([each]);
      before = each;
    }
  }
  return found;
}

/** Local times at which the axis has a mark: quarters of an hour, or of a day. */
export function marks(from: number, to: number): number[] {
  const step = to - from > 4 * 3_600_000 ? 6 * 3_600_000 : 15 * 60_000;
  const shift = new Date(to).getTimezoneOffset() * 60_000;
  const found: number[] = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) found.push(at);
  return found;
}

/** The reading nearest to a time, by its index; -1 without any. */
export function nearest(readings: Reading[], at: number): number {
  let found = -1;
  readings.forEach((each, index) => {
    if (found < 0 || Math.abs(each.at - at) < Math.abs(readings[found]!.at - at)) found = index;
  });
  return found;
}
