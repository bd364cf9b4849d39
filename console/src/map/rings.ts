// Rings as pixels: what a ring of a size covers is computed once, so that a change of its segments costs a look-up for
// each pixel of the ring. Drawing the same arcs on a canvas without a GPU costs ten times as much. The chart copies them.

/** Pixels of a square; those on the edge have an alpha. Words are as ImageData has them, little-endian. */
export interface Sprite {
  size: number;
  pixels: Uint32Array;
}

/** What a ring of one size covers, however it is coloured. */
interface Shape {
  size: number;
  /** The disc below ring and number. */
  disc: Uint32Array;
  /** For each pixel of the ring: where it is, at which part of a turn from the top, and how much of it is covered. */
  at: Uint16Array;
  turn: Uint16Array;
  cover: Uint8Array;
}

interface Label {
  width: number;
  at: Uint16Array;
  cover: Uint8Array;
}

const TURN = 1024;
const THICK = 3.5;
/** One silent site among a thousand must still be seen: radians of the smallest segment. */
const LEAST = 0.35;
const OPAQUE = 0xff000000;

export const radiusOf = (count: number) => Math.min(26, 9 + 1.9 * Math.log(count));

export class Rings {
  readonly #ratio: number;
  readonly #surface: number;
  readonly #ink: number;
  /** Colours of the states over the surface, by state and cover. */
  readonly #shades: Uint32Array;
  readonly #shapes = new Map<number, Shape>();
  readonly #labels = new Map<string, Label>();
  readonly #wheel = new Uint16Array(TURN);

  constructor(ratio: number, surface: string, ink: string, states: string[]) {
    this.#ratio = ratio;
    const [below, above, ...words] = [surface, ink, ...states].map(readColour);
    this.#surface = below!;
    this.#ink = above!;
    this.#shades = new Uint32Array(words.length * 256);
    words.forEach((word, state) => {
      for (let cover = 0; cover < 256; cover += 1) this.#shades[state * 256 + cover] = mix(below!, word, cover);
    });
  }

  /** Paint the ring of so many sites, `counts` of them in each state; on `before`, the same ring, where it is given. */
  paint(count: number, counts: number[], before: Sprite | null): Sprite {
    const shape = this.#shapeOf(count);
    const sprite = before ?? { size: shape.size, pixels: this.#write(shape, count) };
    this.#spread(count, counts);
    const { at, turn, cover } = shape;
    const { pixels } = sprite;
    for (let each = 0; each < at.length; each += 1) {
      pixels[at[each]!] = this.#shades[this.#wheel[turn[each]!]! + cover[each]!]!;
    }
    return sprite;
  }

  /** Share the turn between the states, the worst first and from the top. */
  #spread(count: number, counts: number[]) {
    let from = 0;
    for (let state = counts.length - 1; state >= 0 && from < TURN; state -= 1) {
      const held = counts[state]!;
      if (!held) continue;
      const to = from + Math.max(held / count, LEAST / (Math.PI * 2)) * TURN;
      this.#wheel.fill(state * 256, Math.round(from), Math.min(Math.round(to), TURN));
      from = to;
    }
  }

  #shapeOf(count: number): Shape {
    const radius = Math.round(radiusOf(count) * this.#ratio * 2) / 2;
    let held = this.#shapes.get(radius);
    if (!held) this.#shapes.set(radius, (held = this.#makeShape(radius)));
    return held;
  }

  #makeShape(radius: number): Shape {
    const ratio = this.#ratio;
    const size = Math.ceil(radius * 2 + 4 * ratio);
    const disc = new Uint32Array(size * size);
    const [at, turn, cover] = [[] as number[], [] as number[], [] as number[]];
    for (let index = 0; index < disc.length; index += 1) {
      const dx = (index % size) + 0.5 - size / 2;
      const dy = Math.floor(index / size) + 0.5 - size / 2;
      const far = Math.hypot(dx, dy);
      const below = share(radius + ratio + 0.5 - far);
      if (below) disc[index] = ((below << 24) | (this.#surface & 0xffffff)) >>> 0;
      const above = Math.min(share(radius + 0.5 - far), share(far - (radius - THICK * ratio) + 0.5));
      if (!above) continue;
      at.push(index);
      turn.push(Math.floor(((Math.atan2(-dx, dy) / Math.PI + 1) / 2) * TURN) % TURN);
      cover.push(above);
    }
    return { size, disc, at: Uint16Array.from(at), turn: Uint16Array.from(turn), cover: Uint8Array.from(cover) };
  }

  #write(shape: Shape, count: number): Uint32Array {
    const pixels = shape.disc.slice();
    const label = this.#labelOf(count < 1_000 ? String(count) : `${(count / 1_000).toFixed(1)}k`);
    const from = Math.round((shape.size - label.width) / 2);
    label.at.forEach((index, each) => {
      const x = from + (index % label.width);
      const y = from + Math.floor(index / label.width);
      if (x < 0 || y < 0 || x >= shape.size || y >= shape.size) return;
      pixels[y * shape.size + x] = mix(this.#surface, this.#ink, label.cover[each]!);
    });
    return pixels;
  }

  #labelOf(text: string): Label {
    const known = this.#labels.get(text);
    if (known) return known;
    const ratio = this.#ratio;
    const width = Math.round(40 * ratio);
    const context = makeContext(width);
    context.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, width / 2, width / 2 + 0.5 * ratio);
    const { data } = context.getImageData(0, 0, width, width);
    const [at, cover] = [[] as number[], [] as number[]];
    for (let index = 0; index < width * width; index += 1) {
      if (!data[index * 4 + 3]) continue;
      at.push(index);
      cover.push(data[index * 4 + 3]!);
    }
    const label = { width, at: Uint16Array.from(at), cover: Uint8Array.from(cover) };
    this.#labels.set(text, label);
    return label;
  }
}

/** Copy a sprite over a picture `width` words wide, at a corner that may lie outside of it. */
export function copy({ size, pixels }: Sprite, words: Uint32Array, width: number, left: number, top: number) {
  const height = words.length / width;
  const [x0, x1] = [Math.max(0, -left), Math.min(size, width - left)];
  const [y0, y1] = [Math.max(0, -top), Math.min(size, height - top)];
  for (let y = y0; y < y1; y += 1) {
    const to = (top + y) * width + left;
    for (let x = x0; x < x1; x += 1) {
      const pixel = pixels[y * size + x]!;
      if (pixel >= OPAQUE) words[to + x] = pixel;
      else if (pixel) words[to + x] = over(words[to + x]!, pixel);
    }
  }
}

/** From 0 to 255, what a boundary at this distance in pixels leaves of a pixel. */
const share = (inside: number) => Math.round(Math.min(Math.max(inside, 0), 1) * 255);

function over(below: number, above: number): number {
  const [under, alpha] = [below >>> 24, above >>> 24];
  if (!under) return above;
  const whole = alpha + (under * (255 - alpha)) / 255;
  return ((mix(below, above, (alpha / whole) * 255) & 0xffffff) | (Math.round(whole) << 24)) >>> 0;
}

function mix(below: number, above: number, cover: number): number {
  let word = OPAQUE;
  for (let shift = 0; shift < 24; shift += 8) {
    const [from, to] = [(below >>> shift) & 255, (above >>> shift) & 255];
    word |= Math.round(from + ((to - from) * cover) / 255) << shift;
  }
  return word >>> 0;
}

function makeContext(size: number): CanvasRenderingContext2D {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  return canvas.getContext("2d", { willReadFrequently: true })!;
}

function readColour(colour: string): number {
  const context = makeContext(1);
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0]!;
}
