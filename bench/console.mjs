// Measures the console in Chromium for bench/console.py: `node console.mjs < town.json`, one JSON object out.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const { chromium } = createRequire(new URL("../console/package.json", import.meta.url))("playwright-core");
const town = JSON.parse(readFileSync(0, "utf8"));
const LOADS = 5;
const FRAMES = 150;
const UPDATES = 20;

const middle = (values, share = 0.5) => [...values].sort((one, other) => one - other)[Math.floor((values.length - 1) * share)];
const profile = mkdtempSync(join(tmpdir(), "skerry-bench-"));
const browser = await chromium.launch({
  executablePath: process.env.SKERRY_CHROMIUM ?? "/usr/bin/chromium",
  headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  env: { ...process.env, HOME: profile },
});
const out = {};
try {
  const context = await browser.newContext({ viewport: { width: 1360, height: 800 } });
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  await page.goto(`${town.url}/console/`);
  await page.fill("#token", town.token);
  await page.press("#token", "Enter");
  const drawn = () => page.waitForFunction(() => performance.getEntriesByName("skerry-map").length > 0);
  await drawn();

  const [land, all, answer] = [[], [], []];
  for (let load = 0; load < LOADS; load += 1) {
    await page.reload();
    await drawn();
    const [first, whole, asked] = await page.evaluate(() => {
      const at = (name) => performance.getEntriesByName(name)[0].startTime;
      const map = performance.getEntriesByType("resource").find((each) => each.name.endsWith("sites:map"));
      return [at("skerry-land") - at("skerry-script"), at("skerry-map") - at("skerry-script"), map.duration];
    });
    land.push(first);
    all.push(whole);
    answer.push(asked);
  }
  out["first picture after script, land"] = middle(land);
  out["first picture after script, all sites"] = middle(all);
  out["of which the core's answer with all sites"] = middle(answer);

  // Bytes on the wire with an empty cache, as the browser counts them.
  const fresh = await browser.newContext({ storageState: await context.storageState() });
  const other = await fresh.newPage();
  const counter = await fresh.newCDPSession(other);
  await counter.send("Network.enable");
  const urls = new Map();
  const bytes = { pages: 0, points: 0 };
  counter.on("Network.requestWillBeSent", ({ requestId, request }) => urls.set(requestId, request.url));
  counter.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    const url = urls.get(requestId) ?? "";
    if (url.includes("/console/")) bytes.pages += encodedDataLength;
    if (url.endsWith("sites:map")) bytes.points += encodedDataLength;
  });
  await other.goto(`${town.url}/console/`);
  await other.waitForFunction(() => performance.getEntriesByName("skerry-map").length > 0);
  await other.waitForTimeout(300);
  out["initial load, gzipped"] = bytes.pages / 1000;
  out["all sites as points, gzipped"] = bytes.points / 1000;
  await fresh.close();

  // A frame is what lies between two callbacks while something moves in each of them.
  const move = (step) =>
    page.evaluate(
      async ([frames, body]) => {
        const { chart } = globalThis.skerryMap;
        const act = new Function("chart", "at", body);
        const [gaps, draws] = [[], []];
        chart.ondraw = (ms) => draws.push(ms);
        let before = 0;
        for (let at = 0; at < frames; at += 1) {
          await new Promise((next) =>
            requestAnimationFrame((now) => {
              if (before) gaps.push(now - before);
              before = now;
              act(chart, at);
              next();
            }),
          );
        }
        chart.ondraw = null;
        return { gaps, draws };
      },
      [FRAMES, step],
    );
  const pan = "chart.pan(Math.sin(at / 9) * 14, Math.cos(at / 7) * 9)";
  await page.evaluate(() => globalThis.skerryMap.chart.zoom(1.8));
  const near = await move(pan);
  await page.evaluate(() => globalThis.skerryMap.chart.fit());
  const far = await move(pan);
  const zooming = await move("chart.zoom(at % 40 < 20 ? 1.06 : 1 / 1.06)");
  out["frame while panning, median"] = Math.max(middle(near.gaps), middle(far.gaps));
  out["frame while panning, 95th of 100"] = Math.max(middle(near.gaps, 0.95), middle(far.gaps, 0.95));
  out["drawing of such a frame, median"] = Math.max(middle(near.draws), middle(far.draws));
  out["frame while zooming, median"] = middle(zooming.gaps);

  const updates = await page.evaluate(async (rounds) => {
    const { chart, fleet } = globalThis.skerryMap;
    const names = [...fleet.sites.keys()];
    const spent = [];
    for (let round = 0; round < rounds; round += 1) {
      const deltas = Array.from({ length: 500 }, (_, index) => {
        const name = names[(round * 991 + index * 17) % names.length];
        const site = { site: name, state: round % 2 ? "online" : "silent", settled: true, conditions: [], instances: 1, ready: 1, labels: {}, region: "", country: "", nodes: 1, number: 1, heard_s_ago: 0 };
        return { kind: "site", name, site, app: null };
      });
      await new Promise((next) => setTimeout(next, 50));
      const started = performance.now();
      fleet.apply(deltas);
      chart.draw();
      spent.push(performance.now() - started);
    }
    return spent;
  }, UPDATES);
  out["update of 500 sites, drawn, median"] = middle(updates);

  const started = await page.evaluate(() => performance.now());
  await page.getByLabel("Pages").getByRole("link", { name: "Sites" }).click();
  await page.waitForSelector(".view .row");
  out["table of all sites, first rows"] = (await page.evaluate(() => performance.now())) - started;
} finally {
  await browser.close();
  rmSync(profile, { recursive: true, force: true });
}
process.stdout.write(JSON.stringify(out));
