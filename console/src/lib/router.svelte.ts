// Addresses of views: paths below /console, filters in the query, so that every view can be shared.

const BASE = "/console";

class Router {
  path = $state("/");
  query = $state.raw(new URLSearchParams());

  constructor() {
    this.#read();
    addEventListener("popstate", () => this.#read());
    document.addEventListener("click", (event) => this.#follow(event));
  }

  /** Parts of the path: `["sites", "oslo"]`. */
  get parts(): string[] {
    return this.path.split("/").filter(Boolean).map(decode);
  }

  /** Go to a view. */
  go(to: string) {
    history.pushState(null, "", BASE + to);
    this.#read();
    scrollTo(0, 0);
  }

  /** Change the query of the present view without a new entry in the history. */
  set(name: string, value: string) {
    const next = new URLSearchParams(this.query);
    if (value) next.set(name, value);
    else next.delete(name);
    const text = next.toString();
    history.replaceState(null, "", BASE + this.path + (text && `?${text}`));
    this.query = next;
  }

  #read() {
    this.path = location.pathname.slice(BASE.length) || "/";
    this.query = new URLSearchParams(location.search);
  }

  #follow(event: MouseEvent) {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = (event.target as Element).closest("a");
    if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (!link.pathname.startsWith(BASE) || /\.\w+$/.test(link.pathname)) return;
    event.preventDefault();
    this.go(link.pathname.slice(BASE.length) + link.search);
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const router = new Router();

/** The address of a view. */
export const to = (...parts: string[]) => `${BASE}/${parts.map(encodeURIComponent).join("/")}`;
