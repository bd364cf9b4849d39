// Natural Earth projection (Tom Patterson; polynomial by Bojan Savric), for longitudes and latitudes in degrees.

const RADIANS = Math.PI / 180;

/** Half of the world's width and height in projected units. */
export const WORLD = { x: 2.7354, y: 1.4222 };

export function project(longitude: number, latitude: number): [number, number] {
  const phi = latitude * RADIANS;
  const p2 = phi * phi;
  const p4 = p2 * p2;
  return [
    longitude * RADIANS * (0.8707 - 0.131979 * p2 + p4 * (-0.013791 + p4 * (0.003971 * p2 - 0.001529 * p4))),
    -phi * (1.007226 + p2 * (0.015085 + p4 * (-0.044475 + 0.028874 * p2 - 0.005916 * p4))),
  ];
}
