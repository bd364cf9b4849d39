// How numbers, times and bytes are written; one place, so that every page writes them alike.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit && value < 10 ? value.toFixed(1) : Math.round(value)} ${UNITS[unit]}`;
}

const whole = new Intl.NumberFormat("en");
export const number = (value: number) => whole.format(value);

/** `1 site`, `1,204 sites`. */
export const count = (value: number, noun: string) => `${number(value)} ${noun}${value === 1 ? "" : "s"}`;

/** Seconds as the largest unit that says enough: `8 s`, `3 min`, `5 h`, `12 d`. */
export function seconds(value: number): string {
  if (value < 60) return `${Math.max(0, Math.floor(value))} s`;
  if (value < 3_600) return `${Math.floor(value / 60)} min`;
  if (value < 86_400) return `${Math.floor(value / 3_600)} h`;
  return `${Math.floor(value / 86_400)} d`;
}

const pad = (value: number) => String(value).padStart(2, "0");

/** Local time, to the second; the day is left out when it is today. */
export function time(ms: number, now = Date.now()): string {
  const at = new Date(ms);
  if (Number.isNaN(at.getTime())) return "";
  const clock = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  const day = `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
  return new Date(now).toDateString() === at.toDateString() ? clock : `${day} ${clock}`;
}

/** Local time to the minute, with the day when it is another one. */
export const minute = (ms: number, now = Date.now()) => time(ms, now).slice(0, -3);

/** A value in its unit, as short as it can be read. */
export function amount(value: number, unit: "cores" | "bytes" | "rate"): string {
  if (unit === "cores") return value >= 10 ? value.toFixed(0) : value >= 1 || !value ? value.toFixed(1) : value.toFixed(2);
  return unit === "rate" ? `${bytes(value)}/s` : bytes(value);
}

/** Processor and memory of an instance, as tables show them. */
export const processor = (use?: { cpu_used_m: number | null }) => (use?.cpu_used_m == null ? "" : amount(use.cpu_used_m / 1_000, "cores"));
export const memory = (use?: { sampled_s_ago: number | null; memory_bytes: number }) => (use?.sampled_s_ago == null ? "" : bytes(use.memory_bytes));

export const micros = (us: number) => time(us / 1_000);

/** The beginning of a digest, enough to tell two apart. */
export const short = (digest: string) => digest.replace(/^sha256:/, "").slice(0, 12);

/** The kind inside a CloudEvents type. */
export const kind = (type: string) => type.replace(/^dev\.skerry\./, "").replace(/\.v1$/, "");

// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|.)|[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g;

/** Text from afar without what would steer a terminal or turn the direction of reading. */
export const plain = (text: string) => text.replace(ESCAPES, "");
