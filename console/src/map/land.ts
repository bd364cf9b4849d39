// Land and borders as two paths in projected units, built once.
import land from "./land.json";
import { project } from "./projection";

type Points = [number, number][];

const arcs: Points[] = land.arcs.map((steps: number[]) => {
  let x = 0;
  let y = 0;
  const points: Points = [];
  for (let index = 0; index < steps.length; index += 2) {
    x += steps[index]!;
    y += steps[index + 1]!;
    points.push(project(x / land.grid, y / land.grid));
  }
  return points;
});

const walk = (index: number): Points => (index < 0 ? [...arcs[~index]!].reverse() : arcs[index]!);

/** The land, as rings. */
export function makeLand(): Path2D {
  const path = new Path2D();
  for (const ring of land.land) {
    let first = true;
    for (const index of ring) {
      walk(index).forEach(([x, y], at) => {
        if (first) path.moveTo(x, y);
        else if (at) path.lineTo(x, y);
        first = false;
      });
    }
    path.closePath();
  }
  return path;
}

/** Lines between countries. */
export function makeBorders(): Path2D {
  const path = new Path2D();
  for (const index of land.borders) {
    arcs[index]!.forEach(([x, y], at) => (at ? path.lineTo(x, y) : path.moveTo(x, y)));
  }
  return path;
}
