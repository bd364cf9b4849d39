// src/map/land.json from Natural Earth's countries at 1:110m as TopoJSON (world-atlas): `node scripts/make-land.mjs FILE`.
// Kept in git: the map needs it and nothing else does. A point each 0.1 degree is finer than a pixel at world zoom.
// The atlas draws land across the 180th meridian and around the pole; here it is cut there, so that it can be filled.
import { readFileSync, writeFileSync } from "node:fs";

const GRID = 10; // steps per degree
const HALF = 180 * GRID;
const atlas = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { scale, translate } = atlas.transform;

const arcs = atlas.arcs.map((arc) => {
  let x = 0;
  let y = 0;
  return arc.map(([dx, dy]) => {
    x += dx;
    y += dy;
    return [Math.round((x * scale[0] + translate[0]) * GRID), Math.round((y * scale[1] + translate[1]) * GRID)];
  });
});
const walk = (index) => (index < 0 ? [...arcs[~index]].reverse() : arcs[index]);

// A ring whose longitudes go on instead of jumping by a turn; one around the pole is closed along it.
function unroll(ring) {
  const points = ring.flatMap((index, at) => walk(index).slice(at ? 1 : 0));
  let turn = 0;
  const out = [points[0]];
  for (let at = 1; at < points.length; at += 1) {
    const step = points[at][0] - points[at - 1][0];
    if (step > HALF) turn -= 2 * HALF;
    else if (step < -HALF) turn += 2 * HALF;
    out.push([points[at][0] + turn, points[at][1]]);
  }
  if (turn) {
    const pole = -90 * GRID;
    out.push([out.at(-1)[0], pole], [out[0][0], pole]);
  }
  return out;
}

// Keep what is on one side of a meridian (Sutherland and Hodgman).
function cut(points, edge, side) {
  const inside = ([x]) => (x - edge) * side >= 0;
  return points.flatMap((point, at) => {
    const before = points.at(at - 1);
    const out = [];
    if (inside(point) !== inside(before)) {
      const share = (edge - before[0]) / (point[0] - before[0]);
      out.push([edge, Math.round(before[1] + share * (point[1] - before[1]))]);
    }
    if (inside(point)) out.push(point);
    return out;
  });
}

// The parts of a ring in the world, and those that went over its edges brought back from the other side.
const pieces = (points) =>
  [-2 * HALF, 0, 2 * HALF]
    .map((shift) => cut(cut(points.map(([x, y]) => [x + shift, y]), -HALF, 1), HALF, -1))
    .filter((piece) => piece.length > 2);

// First point, then steps; a step that the grid swallowed is left out.
function pack(points) {
  const out = [...points[0]];
  let [x, y] = points[0];
  for (const [px, py] of points.slice(1)) {
    if (px === x && py === y) continue;
    out.push(px - x, py - y);
    [x, y] = [px, py];
  }
  return out;
}

const used = new Map();
for (const country of atlas.objects.countries.geometries) {
  const seen = new Set(country.arcs.flat(3).map((index) => (index < 0 ? ~index : index)));
  for (const index of seen) used.set(index, (used.get(index) ?? 0) + 1);
}
const rings = atlas.objects.land.geometries.flatMap((each) => (each.type === "Polygon" ? each.arcs : each.arcs.flat()));
const land = rings.flatMap((ring) => pieces(unroll(ring))).map(pack).filter((ring) => ring.length > 6);
const borders = [...used].filter(([, count]) => count > 1).map(([index]) => pack(arcs[index]));
writeFileSync(new URL("../src/map/land.json", import.meta.url), JSON.stringify({ grid: GRID, land, borders }) + "\n");
