// Land and borders as two paths in projected units, built once.
import land from "./land.json";
import { project } from "./projection";

function trace(path: Path2D, steps: number[]) {
  let x = 0;
  let y = 0;
  for (let index = 0; index < steps.length; index += 2) {
    x += steps[index]!;
    y += steps[index + 1]!;
    const [px, py] = project(x / land.grid, y / land.grid);
    if (index) path.lineTo(px, py);
    else path.moveTo(px, py);
  }
}

/** The land, as rings. */
export function makeLand(): Path2D {
  const path = new Path2D();
  for (const ring of land.land) {
    trace(path, ring);
    path.closePath();
  }
  return path;
}

/** Lines between countries. */
export function makeBorders(): Path2D {
  const path = new Path2D();
  for (const line of land.borders) trace(path, line);
  return path;
}
