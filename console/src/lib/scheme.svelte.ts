// Light or dark: as the system says, unless a person chose on this browser.

const KEY = "skerry-scheme";
export type Choice = "system" | "light" | "dark";

class Scheme {
  choice = $state<Choice>("system");
  dark = $state(false);

  constructor() {
    const kept = safely(() => localStorage.getItem(KEY));
    if (kept === "light" || kept === "dark") this.choice = kept;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#show());
    this.#show();
  }

  choose(choice: Choice) {
    this.choice = choice;
    safely(() => (choice === "system" ? localStorage.removeItem(KEY) : localStorage.setItem(KEY, choice)));
    this.#show();
  }

  #show() {
    const system = matchMedia("(prefers-color-scheme: dark)").matches;
    this.dark = this.choice === "system" ? system : this.choice === "dark";
    document.documentElement.dataset.scheme = this.dark ? "dark" : "light";
  }
}

function safely<T>(work: () => T): T | null {
  try {
    return work();
  } catch {
    return null; // storage is switched off here
  }
}

export const scheme = new Scheme();
