// How a site is, in five words. Colour is never the only sign: each has a shape of its own. Worst last, drawn on top.

import type { SiteSummary } from "./types";

export const STATES = ["well", "joining", "unheard", "trouble", "silent"] as const;
export type State = (typeof STATES)[number];

export const TITLES: Record<State, string> = {
  well: "Well",
  joining: "Joining",
  unheard: "Not heard yet",
  trouble: "Needs a look",
  silent: "Silent",
};

/** What is said of a state when there is room. */
export const MEANINGS: Record<State, string> = {
  well: "heard of, and all that is wanted runs",
  joining: "its box has not connected yet",
  unheard: "not heard of since the core was started",
  trouble: "heard of, and something is not as wanted",
  silent: "not heard from; what runs there goes on",
};

type Word = "joining" | "online" | "silent" | "unheard";

export function judge(state: Word, well: boolean): State {
  return state === "online" ? (well ? "well" : "trouble") : state;
}

/** The same from a summary: it does what is wished, all of it runs, and it reports nothing. */
export function judgeSite(site: SiteSummary): State {
  return judge(site.state, site.settled && !site.conditions.length && site.ready >= site.instances);
}
