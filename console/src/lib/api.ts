// Requests to the core. The session is a cookie that this code never sees; the header says that our own page asks.
import type { ProblemDocument } from "./types";

const HEADERS = { "Skerry-Console": "1" };

/** What the core refused, in its own words. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly document: Partial<ProblemDocument>;

  constructor(status: number, document: Partial<ProblemDocument>) {
    super(document.detail ?? (status ? `The core answered ${status}.` : "The core cannot be reached."));
    this.status = status;
    this.code = document.code ?? "";
    this.hint = document.hint ?? "";
    this.document = document;
  }
}

/** Called when the core no longer knows the session. */
export const onUnproven: { call: () => void } = { call: () => {} };

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method, headers: { ...HEADERS }, credentials: "same-origin", cache: "no-store" };
  if (signal) init.signal = signal;
  if (body !== undefined) init.body = JSON.stringify(body);
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, {});
  }
  if (answer.ok) return answer;
  const told: Partial<ProblemDocument> = await answer.json().catch(() => ({}));
  if (answer.status === 401 && path.startsWith("/v1/")) onUnproven.call();
  throw new Problem(answer.status, told);
}

/** Read one object. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await send("GET", path, undefined, signal)).json();
}

/** Ask for something to be done, or for an answer that needs a body. */
export async function post<T>(path: string, body?: unknown): Promise<T> {
  return (await send("POST", path, body)).json();
}

interface Page<T> {
  items: T[];
  next_page_token: string;
}

/** Read a listing page by page, handing out each as it comes; stops at `most` items. */
export async function list<T>(path: string, each: (items: T[]) => void, most = 20_000, signal?: AbortSignal) {
  let token = "";
  let count = 0;
  do {
    const mark = path.includes("?") ? "&" : "?";
    const page: Page<T> = await get(
      `${path}${mark}page_size=1000${token && `&page_token=${encodeURIComponent(token)}`}`,
      signal,
    );
    each(page.items);
    count += page.items.length;
    token = page.next_page_token;
  } while (token && count < most);
}

/** Read JSON lines as they come, until the stream ends or `signal` ends it. */
export async function lines<T>(path: string, each: (batch: T[]) => void, signal: AbortSignal) {
  const answer = await send("GET", path, undefined, signal);
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop() ?? "";
    if (parts.length) each(parts.filter(Boolean).map((part) => JSON.parse(part) as T));
  }
}

/** Begin a session with an API token; it ends with the browser. */
export async function login(token: string) {
  await send("POST", "/console/session", { token });
}

/** End the session here; the token itself goes on. */
export async function logout() {
  await send("DELETE", "/console/session");
}

/** A name inside a path. */
export const part = encodeURIComponent;
