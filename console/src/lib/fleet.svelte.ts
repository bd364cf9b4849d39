// What every page shares: who asks, all sites as points, summaries of sites and apps, and the one stream that keeps
// them new. Objects that number thousands are plain maps beside a counter; a page that shows them reads the counter.
import { get, list, onUnproven, Problem } from "./api";
import { judge, judgeSite, STATES, type State } from "./states";
import type { AppSummary, MapPoint, SessionView, SiteLinks, SiteMap, SiteSummary, WatchDelta } from "./types";

export interface Site {
  name: string;
  /** Degrees; null where nobody said. */
  longitude: number | null;
  latitude: number | null;
  state: State;
}

export type Line = "connecting" | "live" | "cut";

/** Told of sites whose state changed, and null when all may have. */
export type Listener = (changed: Site[] | null) => void;

/** Above this many sites a screen of links does not ask each of them to tell more often: what they tell anyway is shown. */
const FRESH_SITES_MAX = 200;
const RETRY_MS = [500, 1_000, 2_000, 5_000, 10_000];

class Fleet {
  session = $state.raw<SessionView | null>(null);
  /** False until it is known whether there is a session. */
  asked = $state(false);
  line = $state<Line>("connecting");
  cutSince = $state(0);
  /** Raised with each change of `sites`, `summaries` and `apps`. */
  turn = $state(0);
  loaded = $state(false);
  counts = $state.raw<Record<State, number>>({ well: 0, joining: 0, unheard: 0, trouble: 0, silent: 0 });

  sites = new Map<string, Site>();
  summaries = new Map<string, SiteSummary>();
  apps = new Map<string, AppSummary>();
  /** Links of sites, for operators, once a page has asked for them; `linksTurn` is raised with each change. */
  links = new Map<string, SiteLinks>();
  linksTurn = $state(0);

  #listeners = new Set<Listener>();
  #source: EventSource | null = null;
  #tries = 0;
  #wantsSummaries = false;
  #wantsLinks = false;
  #listing: Promise<void> | null = null;

  get isOperator() {
    return Boolean(this.session?.operator_role);
  }

  get isTenant() {
    return Boolean(this.session?.tenant_role);
  }

  get mayDeploy() {
    return this.session?.tenant_role === "deployer" || this.session?.tenant_role === "admin";
  }

  /** Find out who asks; then begin to follow. */
  async begin() {
    onUnproven.call = () => this.end();
    if (!remembered()) {
      this.asked = true;
      return;
    }
    try {
      this.session = await get<SessionView>("/v1/session");
      this.#connect();
    } catch (error) {
      if (!(error instanceof Problem && error.status === 401)) this.#cut();
    }
    this.asked = true;
  }

  /** Forget everything of a session that is over. */
  end() {
    remember(false);
    this.#source?.close();
    this.#source = null;
    this.session = null;
    this.sites.clear();
    this.summaries.clear();
    this.apps.clear();
    this.links.clear();
    this.loaded = false;
    this.#wantsSummaries = false;
    this.#wantsLinks = false;
    this.#recount();
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Load summaries of all sites and keep them new, for pages that show more of them than a point. */
  async needSummaries() {
    if (this.#wantsSummaries) return;
    this.#wantsSummaries = true;
    await this.#listSummaries();
  }

  /** Load the links of all sites and keep them new; asking for them has sites tell of them more often. */
  async needLinks() {
    if (!this.isOperator) return;
    this.#wantsLinks = true;
    await this.#listLinks();
  }

  async #listLinks() {
    const found = new Map<string, SiteLinks>();
    await list<SiteLinks>(`/v1/links?fresh=${this.sites.size <= FRESH_SITES_MAX}`, (items) => items.forEach((each) => found.set(each.site, each)));
    this.links = found;
    this.linksTurn += 1;
  }

  #connect() {
    const source = new EventSource("/v1/watch?kinds=site,app,link");
    this.#source = source;
    source.addEventListener("reset", () => {
      this.#tries = 0;
      void this.#relist();
    });
    source.addEventListener("delta", (event) => this.#take(JSON.parse((event as MessageEvent<string>).data)));
    const lost = () => {
      source.close();
      if (this.#source !== source) return;
      this.#cut();
    };
    source.addEventListener("end", lost);
    source.addEventListener("error", lost);
  }

  #cut() {
    if (this.line !== "cut") this.cutSince = Date.now();
    this.line = "cut";
    const wait = RETRY_MS[Math.min(this.#tries++, RETRY_MS.length - 1)]!;
    setTimeout(async () => {
      try {
        this.session = await get<SessionView>("/v1/session");
        this.#connect();
      } catch (error) {
        if (!(error instanceof Problem && error.status === 401)) this.#cut();
      }
    }, wait);
  }

  /** List everything again; what came meanwhile is as new or newer, so the order does not matter. */
  async #relist() {
    this.#listing ??= (async () => {
      try {
        const map = await get<SiteMap>("/v1/sites:map");
        this.sites = new Map(map.points.map((point) => [point[0], read(point)]));
        this.loaded = true;
        this.line = "live";
        this.#recount();
        for (const listener of this.#listeners) listener(null);
        if (this.isTenant) {
          const apps = new Map<string, AppSummary>();
          await list<AppSummary>("/v1/apps", (items) => items.forEach((each) => apps.set(each.app, each)));
          this.apps = apps;
          this.turn += 1;
        }
        if (this.#wantsSummaries) await this.#listSummaries();
        if (this.#wantsLinks) await this.#listLinks();
      } catch {
        this.#source?.close();
        if (this.session) this.#cut();
      } finally {
        this.#listing = null;
      }
    })();
    await this.#listing;
  }

  async #listSummaries() {
    const found = new Map<string, SiteSummary>();
    await list<SiteSummary>("/v1/sites", (items) => {
      for (const each of items) {
        found.set(each.site, each);
        this.summaries.set(each.site, each);
      }
      this.turn += 1;
    });
    this.summaries = found;
    this.turn += 1;
  }

  // Deltas of one burst come as separate messages; they are gathered for one frame.
  #gathered: WatchDelta[] = [];

  #take(delta: WatchDelta) {
    if (!this.#gathered.length) requestAnimationFrame(() => this.apply(this.#gathered.splice(0)));
    this.#gathered.push(delta);
  }

  /** Take the newest state of some objects. */
  apply(deltas: WatchDelta[]) {
    const changed: Site[] = [];
    const counts = { ...this.counts };
    let strange = false;
    let linked = false;
    for (const delta of deltas) {
      if (delta.kind === "link") {
        if (this.#wantsLinks && delta.links) this.links.set(delta.name, delta.links);
        linked = true;
        continue;
      }
      if (delta.kind === "app") {
        if (delta.app && delta.app.state !== "ended") this.apps.set(delta.name, delta.app);
        else this.apps.delete(delta.name);
        continue;
      }
      const known = this.sites.get(delta.name);
      if (!known || !delta.site) {
        strange = strange || Boolean(known) !== Boolean(delta.site);
        continue;
      }
      if (this.#wantsSummaries) this.summaries.set(delta.name, delta.site);
      const state = judgeSite(delta.site);
      if (state !== known.state) {
        counts[known.state] -= 1;
        counts[state] += 1;
        known.state = state;
        changed.push(known);
      }
    }
    if (linked) this.linksTurn += 1;
    if (changed.length) {
      this.counts = counts;
      for (const listener of this.#listeners) listener(changed);
    }
    this.turn += 1;
    if (strange) void this.#relist(); // a site came or went: only the map knows where
  }

  #recount() {
    const counts = Object.fromEntries(STATES.map((state) => [state, 0])) as Record<State, number>;
    for (const site of this.sites.values()) counts[site.state] += 1;
    this.counts = counts;
    this.turn += 1;
  }
}

// Whether a session was begun in this browser: it saves asking the core for one that cannot be. It is no secret.
const KEY = "skerry-session";

function remembered(): boolean {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return true; // storage is switched off: ask
  }
}

/** Note that a session has begun or ended. */
export function remember(begun: boolean) {
  try {
    if (begun) localStorage.setItem(KEY, "1");
    else localStorage.removeItem(KEY);
  } catch {
    return;
  }
}

function read([name, longitude, latitude, state, well]: MapPoint): Site {
  const degrees = (value: number | null) => (value === null ? null : value / 1e6);
  return { name, longitude: degrees(longitude), latitude: degrees(latitude), state: judge(state, well) };
}

export const fleet = new Fleet();
