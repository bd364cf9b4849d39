// What people do in the console, played in Debian's Chromium by playwright-core: `node stories.mjs < town.json`, one
// JSON line per story. Every story fails on a request to another origin, on an error of the page and on planted text
// that came alive. tests/browser/test_console.py starts it and reads the lines.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../../console/package.json", import.meta.url))("playwright-core");
const town = JSON.parse(readFileSync(0, "utf8"));
const WAIT_MS = 15_000;

export const FLAGS = [
  "--no-sandbox", // tests run as root in CI; nothing foreign is ever loaded
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const stories = [];
const story = (name, play, options = {}) => stories.push({ name, play, options });

function check(condition, words) {
  if (!condition) throw new Error(words);
}

async function act(path, words = {}) {
  const answer = await fetch(town.door + path, { method: "POST", body: JSON.stringify(words) });
  check(answer.ok, `the town refused ${path}: ${await answer.text()}`);
}

async function enter(page, token = town.token) {
  await page.goto(`${town.url}/console/`);
  await page.fill("#token", token);
  await page.press("#token", "Enter");
  await page.waitForSelector("nav");
  await page.getByText("Live", { exact: false }).first().waitFor();
}

const open = async (page, path) => {
  await page.goto(`${town.url}/console${path}`);
  await page.waitForSelector("h1");
};

const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

// --- the door

story("a wrong token opens nothing and says so", async (page) => {
  page.expected.push(/status of 401/);
  await page.goto(`${town.url}/console/`);
  await page.fill("#token", "skt_aaaaaaaaaa_" + "a".repeat(52));
  await page.press("#token", "Enter");
  await page.getByRole("alert").waitFor();
  check(await page.locator("nav").count() === 0, "the console opened");
});

story("the session outlives a reload and no script can read it", async (page) => {
  await enter(page);
  check(!(await page.evaluate(() => document.cookie)).includes("skerry"), "the cookie can be read");
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  check(!stored.includes(town.token), "the token is in the browser's storage");
  const [cookie] = await page.context().cookies(`${town.url}/v1/session`);
  check(cookie.httpOnly && cookie.sameSite === "Strict", JSON.stringify(cookie));
  await page.reload();
  await page.waitForSelector("nav");
  await page.getByRole("button", { name: "Log out" }).click();
  await page.waitForSelector("#token");
  check((await page.context().cookies(`${town.url}/v1/session`)).length === 0, "the cookie is still there");
});

// --- main paths

story("from the map to a site that fell over, live", async (page) => {
  await enter(page);
  await page.getByRole("heading", { name: /sites$/ }).waitFor();
  await open(page, "/sites/gdansk-1");
  await page.getByText("instance.ready").first().waitFor();
  await act("/crash", { site: "gdansk-1", app: "stock" });
  await page.getByText("it ended with code 1").first().waitFor();
  await page.getByRole("row", { name: /stock \/ scan\/0 ready 2 1/ }).waitFor();
  await page.getByRole("heading", { name: "What runs" }).waitFor();
});

story("a site appears on an open map without a reload", async (page) => {
  await enter(page);
  const before = await page.locator("aside h1").innerText();
  await act("/add", { site: "ostersund-1" });
  await page.waitForFunction((text) => document.querySelector("aside h1").innerText !== text, before);
  await page.getByLabel("Pages").getByRole("link", { name: "Sites" }).click();
  await page.getByLabel("Filter sites").fill("ostersund");
  await page.getByRole("link", { name: "ostersund-1" }).waitFor();
});

story("the table filters by label, sorts, and keeps both in its address", async (page) => {
  await enter(page);
  await open(page, "/sites");
  await page.getByLabel("Filter sites").fill("tier=depot");
  await page.waitForFunction(() => document.querySelectorAll(".view .row").length === 6);
  await page.getByRole("button", { name: "State" }).click();
  check(page.url().includes("q=tier%3Ddepot") && page.url().includes("sort=state"), page.url());
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll(".view .row").length === 6);
  check((await page.locator(".view .row").first().innerText()).includes("vilnius-1"), "joining does not come first");
});

story("an app's page shows where it is, its history, and how to roll back", async (page) => {
  await enter(page);
  await open(page, "/apps/stock");
  await page.getByRole("link", { name: "hamburg-1" }).first().waitFor();
  await page.getByRole("button", { name: "Roll back" }).click();
  await page.getByText("skerry app rollback stock --to 1").waitFor();
});

story("what has no place says why", async (page) => {
  await enter(page);
  await open(page, "/apps/archive");
  await page.getByText(/none of \d+ nodes can hold it/).first().waitFor();
});

story("pause asks first, then the app's state changes by itself", async (page) => {
  await enter(page);
  await open(page, "/apps/beacon");
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Leave it" }).click();
  await page.getByRole("button", { name: "Pause" }).click();
  await page.getByRole("dialog").getByText(/instances at \d+ sites/).waitFor();
  await page.getByRole("dialog").getByText("skerry app pause beacon").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Pause" }).click();
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Pause" }).waitFor();
});

story("a rollout says how far it is, and goes on when a person lets it", async (page) => {
  await enter(page);
  await act("/roll", { app: "roll" });
  await open(page, "/apps/roll");
  const rollout = page.getByRole("region", { name: "Rollout" });
  await rollout.getByText("waits for a person").waitFor({ timeout: 40_000 });
  await rollout.getByText("1 proven", { exact: true }).waitFor();
  await rollout.getByRole("button", { name: "Promote" }).click();
  await page.getByRole("dialog").getByText("skerry rollout promote roll").waitFor();
  await page.getByRole("dialog").getByRole("button", { name: "Promote" }).click();
  await rollout.getByText("Accepted: promote.").waitFor();
  await rollout.getByText("waits for a person").waitFor({ state: "detached" });
  await open(page, "/apps/till");
  await page.getByRole("heading", { name: "Placement" }).waitFor();
  check(await page.getByRole("region", { name: "Rollout" }).count() === 0, "an app without a rollout has one");
});

story("a new revision shows on an open page", async (page) => {
  await enter(page);
  await open(page, "/apps/stock");
  await act("/apply", { app: "fresh", image: "registry.example/fresh:1", match: "tier=vessel" });
  await page.getByLabel("Pages").getByRole("link", { name: "Apps" }).click();
  await page.getByRole("row", { name: /fresh .*2\/2/ }).waitFor();
});

story("a plan comes before an apply, with the command that signs it", async (page) => {
  await enter(page);
  await open(page, "/deploy");
  const text = (image) => `name: planned\nservices:\n  web:\n    image: ${image}\nx-skerry:\n  placement:\n    sites: tier=vessel\n`;
  await page.getByRole("textbox", { name: "Manifest" }).fill(text("nowhere:1"));
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByRole("button", { name: "line 4" }).click();
  const chosen = await page.evaluate(() => {
    const area = document.querySelector("textarea");
    return area.value.slice(area.selectionStart, area.selectionEnd);
  });
  check(chosen.includes("nowhere:1"), `chosen: ${chosen}`);
  check(await page.getByText("skerry apply").count() === 0, "a broken text has an apply");
  await page.getByRole("textbox", { name: "Manifest" }).fill(text("registry.example/beacon:1"));
  await page.keyboard.press("Control+Enter");
  await page.getByText(/skerry apply -f compose.yaml --plan [0-9A-Z]{26}/).waitFor();
  await page.getByText("2 instances at 2 sites").waitFor();
  await page.getByRole("textbox", { name: "Manifest" }).press("End");
  await page.getByRole("textbox", { name: "Manifest" }).pressSequentially(" ");
  await page.getByText("Plan again before you apply").waitFor();
  check(await page.getByText(/skerry apply -f/).count() === 0, "a stale plan has an apply");
});

story("output of a site, live, told apart by stream", async (page) => {
  await enter(page);
  await open(page, "/sites/oslo-2");
  await page.getByRole("button", { name: "Follow output" }).click();
  await page.getByRole("log").getByText("listening on :80").first().waitFor();
  await page.getByRole("log").getByText("says hello").first().waitFor();
  check(await page.locator(".line.stderr").count() > 0, "standard error looks like output");
  await page.getByRole("button", { name: "Stop" }).click();
});

story("what a site uses is drawn, read by the keyboard, and said as a table", async (page) => {
  await enter(page);
  await open(page, "/sites/bergen-1");
  const memory = page.getByRole("slider", { name: "Memory" });
  await memory.waitFor();
  for (const name of ["Processor, in cores", "Disk", "Link"]) await page.getByRole("slider", { name }).waitFor();
  await memory.focus();
  await page.keyboard.press("Home");
  check(/^\d\d:\d\d: [\d.]+ GiB$/.test(await memory.getAttribute("aria-valuetext")), await memory.getAttribute("aria-valuetext"));
  check((await page.locator("figure", { hasText: "Memory" }).locator("svg text").allTextContents()).includes("8.0 GiB"), "the axis does not end at what there is");
  await page.getByText("The same as a table").click();
  await page.getByRole("row", { name: /^\d\d:\d\d .* GiB .* GiB/ }).first().waitFor();
  await page.getByRole("button", { name: "Last day" }).click();
  await memory.waitFor();
  await page.getByRole("row", { name: /till \/ web\/0 ready .* MiB/ }).waitFor();
});

story("a site of which nothing is known says so, and when there will be something", async (page) => {
  await enter(page);
  await open(page, "/sites/vilnius-1");
  await page.getByText("Nothing is remembered yet.").waitFor();
  check(await page.getByRole("slider").count() === 0, "nothing is drawn as something");
});

story("an app's instances say what they use, and one of them is drawn", async (page) => {
  await enter(page);
  await open(page, "/apps/stock");
  await page.getByRole("row", { name: /hamburg-1 .* MiB/ }).waitFor();
  await page.getByRole("slider", { name: "Networks" }).waitFor();
  await page.getByLabel("Instance").selectOption({ label: "scan/0 at hamburg-1" });
  await page.getByRole("slider", { name: "Memory" }).hover();
  await page.getByText(/^\d\d:\d\d: \d+ MiB$/).first().waitFor();
});

story("links between sites are lines on the map, rows of a table, and a panel of their site", async (page) => {
  await enter(page);
  await page.getByRole("heading", { name: "Links from site to site" }).waitFor();
  await page.getByRole("link", { name: "direct" }).waitFor();
  await page.waitForFunction(() => globalThis.skerryMap.chart.lines === 4);
  await page.getByRole("button", { name: "Hide lines" }).click();
  await page.waitForFunction(() => globalThis.skerryMap.chart.lines === 0);
  check(page.url().includes("links=off"), page.url());
  await page.getByRole("button", { name: "Show lines" }).click();
  await page.getByRole("link", { name: "cut" }).click();
  await page.getByRole("row", { name: /oslo-1 tromso-1 cut/ }).waitFor();
  await page.getByRole("button", { name: /^relayed/ }).click();
  await page.getByRole("row", { name: /oslo-1 stockholm-1 relayed 64 ms 3.1 %/ }).waitFor();
  await page.getByRole("row", { name: /oslo-1 wired .* fibre \(wired\) 2.2 GiB/ }).waitFor();
  await page.getByRole("link", { name: "oslo-1" }).first().click();
  await page.getByRole("row", { name: /fibre eth0 wired yes 2.2 GiB 11 % of 20 GiB 3.00 images 2.0 GiB/ }).waitFor();
  await page.getByRole("row", { name: /bergen-1 direct 11 ms 0.2 % 46 MiB/ }).waitFor();
});

story("networks say what they moved, and a trace where packets stop", async (page) => {
  await enter(page);
  await open(page, "/networks");
  await page.getByRole("button", { name: "beacon/default" }).click();
  await page.getByRole("row", { name: /oslo-1 6.7 MiB 62.5 KiB 3 packets|oslo-1 6.7 MiB 63 KiB 3 packets/ }).waitFor();
  check(page.url().includes("network=beacon"), page.url());
  await page.getByLabel("From").fill("beacon/agent@oslo-1");
  await page.getByLabel("To").fill("beacon/agent@bergen-1");
  await page.getByLabel("Port").fill("80");
  await page.keyboard.press("Enter");
  await page.getByRole("status").filter({ hasText: "stopped" }).waitFor();
  await page.getByRole("row", { name: /stops network .*one at each site by itself/ }).waitFor();
  await page.getByLabel("To").fill("nowhere");
  await page.keyboard.press("Enter");
  await page.getByText("An end is APP/SERVICE").first().waitFor();
}, { expected: [/status of 404/] });

story("images, secrets, events and audit list what there is and what happened", async (page) => {
  await enter(page);
  await open(page, "/images");
  await page.getByText("docker.io/library/postgres:16").waitFor();
  await open(page, "/secrets");
  await page.getByRole("row", { name: /^till-key 1 no app 2 keys/ }).waitFor();
  await open(page, "/events?kind=app.");
  await page.getByText("Revision 1 was recorded.").first().waitFor();
  check(await page.getByText("instance.ready").count() === 0, "the kind is not heeded");
  await open(page, "/audit");
  await page.getByText("apply_app").first().waitFor();
  await page.getByRole("link", { name: "story" }).first().click();
  await page.waitForURL(/events\?cause=/);
});

story("a viewer is shown nothing that a viewer may not do", async (page) => {
  await enter(page, town.viewer);
  check(await page.getByRole("link", { name: "Deploy" }).count() === 0, "Deploy is offered");
  await open(page, "/apps/till");
  await page.getByRole("heading", { name: "History" }).waitFor();
  for (const name of ["Pause", "Restart", "Roll back", "Follow output"]) {
    check(await page.getByRole("button", { name }).count() === 0, `${name} is offered`);
  }
});

// --- hostile text

const HOSTILE = {
  "/": /./,
  "/sites?q=planted": /planted/,
  "/sites/hostile": /<script>globalThis/,
  "/apps": /hostile/,
  "/apps/hostile": /<img src=http:\/\/planted/,
  "/images": /registry/,
  "/links?q=hostile": /planted/,
  "/events?kind=instance.unhealthy": /planted/,
  "/audit": /token/,
};

story("t36: planted text is text on every page", async (page) => {
  await enter(page);
  for (const [path, words] of Object.entries(HOSTILE)) {
    await open(page, path);
    await page.locator("main").getByText(words).first().waitFor();
    await page.waitForTimeout(150);
  }
  await open(page, "/sites/hostile");
  await page.getByRole("button", { name: "Follow output" }).click();
  await page.getByRole("log").getByText("<img src=http://planted").first().waitFor();
  check(!/[\u0000-\u0008\u001b\u202e\u2066]/.test(await page.locator("main").innerText()), "control characters are shown");
  await open(page, "/deploy");
  await page.getByRole("textbox", { name: "Manifest" }).fill("name: x\nservices:\n  web:\n    image: '<img src=http://planted.example/x onerror=globalThis.planted=1>'\n");
  await page.getByRole("button", { name: "Plan", exact: true }).click();
  await page.getByText(/problem/).first().waitFor();
  await open(page, "/sites/" + encodeURIComponent("<img src=x onerror=globalThis.planted=1>"));
  await page.getByRole("alert").waitFor();
}, { expected: [/status of 404/] });

story("the policy stops what would get past the pages", async (page) => {
  page.expected.push(/Content Security Policy|violates/);
  await enter(page);
  const ran = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "globalThis.planted = 1";
    document.body.append(script);
    const handler = document.createElement("div");
    handler.setAttribute("onclick", "globalThis.planted = 1");
    handler.click();
    const blocked = await fetch("http://127.0.0.1:9/").then(() => false, () => true);
    return [globalThis.planted, blocked];
  });
  check(ran[0] === undefined && ran[1], JSON.stringify(ran));
});

// --- the map

story("a map that took updates looks like one drawn at once", async (page) => {
  await enter(page);
  const found = await page.evaluate(() => {
    const { chart, fleet } = globalThis.skerryMap;
    const canvas = document.querySelector("canvas.sites");
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
    const look = () => {
      chart.draw();
      copy.clearRect(0, 0, canvas.width, canvas.height);
      copy.drawImage(canvas, 0, 0);
      return copy.getImageData(0, 0, canvas.width, canvas.height).data;
    };
    const states = ["well", "silent", "trouble", "joining", "unheard"];
    // Seven crowds, some on top of each other or over the edge, and a few lone sites between them.
    const make = (fell) =>
      Array.from({ length: 900 }, (_, index) => ({
        name: `crowd-${index}`,
        longitude: index % 9 < 7 ? (index % 9) * 9 + (index % 31) / 40 : -60 + (index % 7) * 20,
        latitude: 40 + (index % 4) * 1.5 + (index % 17) / 30,
        state: index % 3 < fell ? "silent" : states[index % states.length],
      }));
    const sites = make(0);
    chart.show(sites);
    chart.fit();
    const first = look();
    make(2).forEach(({ state }, index) => (sites[index].state = state));
    chart.restyle(sites);
    const updated = look();
    chart.show(make(2));
    const whole = look();
    chart.show(fleet.sites.values());
    const differ = (one, other) => one.reduce((sum, value, at) => sum + Number(value !== other[at]), 0);
    return { changed: differ(first, updated), wrong: differ(updated, whole), drawn: whole.filter(Boolean).length };
  });
  check(found.changed > 500 && found.drawn > 5_000, `little is drawn: ${JSON.stringify(found)}`);
  check(found.wrong === 0, `the picture differs: ${JSON.stringify(found)}`);
});

// --- keyboard, small screens, schemes

story("the keyboard goes everywhere", async (page) => {
  await enter(page);
  await page.keyboard.press("/");
  await page.keyboard.type("bergen-2");
  await page.keyboard.press("Enter");
  await page.waitForURL(/sites\/bergen-2$/);
  await page.keyboard.press("/");
  await page.keyboard.type("sites");
  await page.keyboard.press("Enter");
  await page.waitForURL(/console\/sites$/);
  await page.getByLabel("Filter sites").focus();
  await page.waitForFunction(() => document.querySelectorAll(".view .row").length > 20);
  for (let count = 0; count < 14; count += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.classList.contains("view"))) break;
  }
  const names = await page.locator(".view .row .name").allInnerTexts();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.waitForURL(new RegExp(`sites/${names[2]}$`));
  await page.goBack();
  await open(page, "/");
  await page.locator("canvas.sites").focus();
  const scale = () => page.evaluate(() => globalThis.skerryMap.chart.scale);
  const before = await scale();
  await page.keyboard.press("+");
  await page.keyboard.press("ArrowLeft");
  check(await scale() > before, "the map does not zoom");
  await page.keyboard.press("0");
  await page.reload();
  await page.waitForSelector("nav");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  check(await page.evaluate(() => document.activeElement.id) === "main", "the skip link does not skip");
});

const PATHS = ["/", "/sites", "/sites/oslo-1", "/sites/hostile", "/networks?network=beacon/default", "/links", "/apps", "/apps/till", "/apps/hostile", "/apps/archive", "/deploy", "/images", "/secrets", "/events", "/audit"];

for (const [width, scheme] of [[360, "light"], [360, "dark"], [1360, "light"]]) {
  story(`at ${width} pixels, ${scheme}, nothing is wider than the screen`, async (page) => {
    await page.setViewportSize({ width, height: 780 });
    await page.emulateMedia({ colorScheme: scheme });
    await enter(page);
    for (const path of PATHS) {
      await open(page, path);
      await page.waitForTimeout(250);
      const over = await overflow(page);
      check(over <= 0, `${path} is ${over} pixels too wide`);
      const dim = await page.evaluate(findDim);
      check(!dim.length, `${path}: too little contrast: ${dim.join("; ")}`);
      const nameless = await page.evaluate(findNameless);
      check(!nameless.length, `${path}: nameless controls: ${nameless.join("; ")}`);
    }
  });
}

story("a cut line is said, and mends by itself", async (page) => {
  page.expected.push(/Failed to load resource|ERR_|EventSource/);
  await enter(page);
  await act("/stop-core");
  await page.getByText(/Cut off for/).waitFor();
  check(/^\d+ sites$/.test(await page.locator("aside h1").innerText()), "what was known is gone");
  await act("/start-core");
  await page.getByText("Live", { exact: true }).waitFor();
});

// Text below 4.5:1 on its ground (3:1 when large), as far as plain colours decide it.
function findDim() {
  const parse = (text) => {
    const found = text.match(/[\d.]+/g).map(Number);
    return { rgb: found.slice(0, 3), alpha: found[3] ?? 1 };
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((value) => ((value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const out = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || !element.checkVisibility() || element.closest("[disabled], .unseen, .skip, .map, noscript, option")) continue;
    let ground = null;
    for (let each = element; each && !ground; each = each.parentElement) {
      const found = parse(getComputedStyle(each).backgroundColor);
      if (found.alpha === 1) ground = found.rgb;
    }
    const style = getComputedStyle(element);
    const [one, other] = [light(parse(style.color).rgb), light(ground ?? [255, 255, 255])];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) out.add(`"${text.slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return [...out].slice(0, 6);
}

// Controls that a screen reader could not name.
function findNameless() {
  return [...document.querySelectorAll("button, a[href], input, select, textarea")]
    .filter((each) => each.checkVisibility())
    .filter((each) => !(each.innerText?.trim() || each.getAttribute("aria-label") || each.labels?.length || each.title))
    .map((each) => each.outerHTML.slice(0, 80));
}

// --- playing

const profile = mkdtempSync(join(tmpdir(), "skerry-browser-"));
const executablePath = process.env.SKERRY_CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS, env: { ...process.env, HOME: profile } });
const only = process.argv[2];
try {
  for (const { name, play, options } of stories) {
    if (only && !name.includes(only)) continue;
    const context = await browser.newContext({ viewport: { width: 1360, height: 800 }, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    page.expected = [...(options.expected ?? [])];
    const faults = [];
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(town.url) && !/^(data|blob):/.test(url) && url !== "http://127.0.0.1:9/") faults.push(`asked ${url}`);
    });
    page.on("pageerror", (error) => faults.push(`the page broke: ${error.message}`));
    page.on("console", (line) => {
      if (["error", "warning"].includes(line.type()) && !page.expected.some((each) => each.test(line.text()))) faults.push(`console: ${line.text()}`);
    });
    page.on("dialog", (dialog) => (faults.push(`a dialog: ${dialog.message()}`), dialog.dismiss()));
    const started = performance.now();
    let problem = "";
    try {
      await play(page);
      if ((await page.evaluate(() => globalThis.planted)) !== undefined) problem = "planted text came alive";
    } catch (error) {
      problem = String(error.message ?? error).slice(0, 1_500);
      if (process.env.SKERRY_SHOTS) await page.screenshot({ path: join(process.env.SKERRY_SHOTS, `${stories.findIndex((each) => each.name === name)}.png`) }).catch(() => {});
    }
    if (faults.length && !problem) problem = faults.slice(0, 5).join("\n");
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    process.stdout.write(JSON.stringify({ name, problem, seconds }) + "\n");
    await context.close();
  }
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
