// src/map/land.json from Natural Earth's countries at 1:110m as TopoJSON (world-atlas): `node scripts/make-land.mjs FILE`.
// Kept in git: the map needs it and nothing else does. A point each 0.1 degree is finer than a pixel at world zoom.
import { readFileSync, writeFileSync } from "node:fs";

const GRID = 10; // steps per degree
const atlas = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { scale, translate } = atlas.transform;

function readArc(arc) {
  let x = 0;
  let y = 0;
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [Math.round((x * scale[0] + translate[0]) * GRID), Math.round((y * scale[1] + translate[1]) * GRID)];
  });
}

// First point, then steps; a step that the grid swallowed is left out, but for the ends, which neighbours share.
function writeArc(points) {
  const out = [...points[0]];
  let [x, y] = points[0];
  points.slice(1).forEach(([px, py], index) => {
    if (px === x && py === y && index < points.length - 2) return;
    out.push(px - x, py - y);
    [x, y] = [px, py];
  });
  return out;
}

const used = new Map();
for (const country of atlas.objects.countries.geometries) {
  const seen = new Set(country.arcs.flat(3).map((index) => (index < 0 ? ~index : index)));
  for (const index of seen) used.set(index, (used.get(index) ?? 0) + 1);
}
const land = atlas.objects.land.geometries.flatMap((each) => (each.type === "Polygon" ? each.arcs : each.arcs.flat()));
const borders = [...used].filter(([, count]) => count > 1).map(([index]) => index);
const made = { grid: GRID, arcs: atlas.arcs.map((arc) => writeArc(readArc(arc))), land, borders };
writeFileSync(new URL("../src/map/land.json", import.meta.url), JSON.stringify(made) + "\n");
