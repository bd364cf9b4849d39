// The map as two canvases: land below, sites above, no GPU needed. Sites are projected once; panning and zooming are one
// affine transform. Lone sites are stamps copied into a pixel buffer, dense ones become a ring with a count, whose
// segments say how many are how; a ring is painted when it changes and then copied into the same buffer.
import { WAYS } from "../lib/links";
import { STATES } from "../lib/states";
import type { Site } from "../lib/fleet.svelte";
import type { Way } from "../lib/links";
import { makeBorders, makeLand } from "./land";
import { project, WORLD } from "./projection";
import { copy, radiusOf, Rings, type Sprite } from "./rings";

export interface Colours {
  land: string;
  line: string;
  surface: string;
  ink: string;
  /** In the order of STATES. */
  states: string[];
  /** Of lines between sites. */
  ways: Record<Way, string>;
}

export interface Cluster {
  x: number;
  y: number;
  count: number;
  /** How many per state, in the order of STATES. */
  counts: number[];
  sites: number[];
  /** Its ring as last painted. */
  ring: Sprite | null;
  /** Its segments have changed since. */
  due: boolean;
}

export type Hit = { site: Site } | { cluster: Cluster };

/** Edge of a cell in which sites are counted together, in pixels. */
const CELL = 64;
/** Sites of one cell that are still drawn one by one. */
const LONE = 5;
const ZOOM = { out: 0.8, in: 400 };
const REACH = 14;
/** Dashes of lines, in pixels. */
const PATTERNS: Record<Way, number[]> = { direct: [], relayed: [7, 4], quiet: [1.5, 4], cut: [10, 5] };

export class Chart {
  readonly #base: CanvasRenderingContext2D;
  readonly #top: CanvasRenderingContext2D;
  readonly #land: Path2D;
  readonly #borders: Path2D;
  #colours: Colours;
  #stamps: Sprite[] = [];
  #rings: Rings;
  #buffer: ImageData | null = null;
  #words: Uint32Array = new Uint32Array();
  #sites: Site[] = [];
  #index = new Map<Site, number>();
  #x = new Float32Array();
  #y = new Float32Array();
  #state = new Uint8Array();
  #pairs: { from: string; to: string; way: Way }[] = [];
  /** Pairs of sites by their place among the sites, with how the way between them is. */
  #lines: [number, number, Way][] = [];
  #clusters: Cluster[] = [];
  #lone: number[] = [];
  #clusterOf: (Cluster | null)[] = [];
  #level = NaN;
  #frame = 0;
  #landDue = true;
  #fitted = false;
  #marked = false;
  width = 0;
  height = 0;
  #ratio = 1;
  /** Pixels per projected unit, and where the middle of the world is. */
  scale = 100;
  left = 0;
  top = 0;
  /** Told after each drawn frame how long it took, in ms. */
  ondraw: ((ms: number) => void) | null = null;

  constructor(base: HTMLCanvasElement, top: HTMLCanvasElement, colours: Colours) {
    this.#base = base.getContext("2d", { alpha: false })!;
    this.#top = top.getContext("2d")!;
    this.#land = makeLand();
    this.#borders = makeBorders();
    this.#colours = colours;
    this.#rings = this.#makeRings();
  }

  recolour(colours: Colours) {
    this.#colours = colours;
    this.#makeStamps();
    this.#rings = this.#makeRings();
    this.#landDue = true;
    this.redraw();
  }

  resize(width: number, height: number) {
    if (!width || !height) return;
    const middle = this.width ? [(this.width / 2 - this.left) / this.scale, (this.height / 2 - this.top) / this.scale] : null;
    const ratio = Math.min(devicePixelRatio || 1, 2);
    if (ratio !== this.#ratio) {
      this.#ratio = ratio;
      this.#rings = this.#makeRings();
    }
    this.width = width;
    this.height = height;
    for (const context of [this.#base, this.#top]) {
      context.canvas.width = Math.round(width * this.#ratio);
      context.canvas.height = Math.round(height * this.#ratio);
    }
    this.#buffer = this.#top.createImageData(this.#top.canvas.width, this.#top.canvas.height);
    this.#words = new Uint32Array(this.#buffer.data.buffer);
    this.#makeStamps();
    if (middle && this.#fitted) {
      this.left = width / 2 - middle[0]! * this.scale;
      this.top = height / 2 - middle[1]! * this.scale;
    } else this.fit();
    this.#landDue = true;
    this.redraw();
  }

  /** Show these sites, those without coordinates left out. */
  show(sites: Iterable<Site>) {
    const placed = [...sites].filter((site) => site.longitude !== null && site.latitude !== null);
    const count = placed.length;
    this.#sites = placed;
    this.#x = new Float32Array(count);
    this.#y = new Float32Array(count);
    this.#state = new Uint8Array(count);
    this.#index = new Map();
    placed.forEach((site, index) => {
      const [x, y] = project(site.longitude!, site.latitude!);
      this.#x[index] = x;
      this.#y[index] = y;
      this.#state[index] = STATES.indexOf(site.state);
      this.#index.set(site, index);
    });
    if (this.#pairs.length) {
      this.#place();
      this.#landDue = true;
    }
    this.#level = NaN;
    if (!this.#fitted) this.fit();
    this.redraw();
  }

  /** Draw some sites anew that have changed their state. */
  restyle(changed: Site[]) {
    for (const site of changed) {
      const index = this.#index.get(site);
      if (index === undefined) continue;
      const before = this.#state[index]!;
      const after = STATES.indexOf(site.state);
      this.#state[index] = after;
      const cluster = this.#clusterOf[index];
      if (!cluster) continue;
      cluster.counts[before]! -= 1;
      cluster.counts[after]! += 1;
      cluster.due = true;
    }
    this.redraw();
  }

  /** Draw lines between sites; those without a place, and those to nowhere, are left out. */
  join(pairs: { from: string; to: string; way: Way }[]) {
    if (!pairs.length && !this.#pairs.length) return;
    this.#pairs = pairs;
    this.#place();
    this.#landDue = true;
    this.redraw();
  }

  #place() {
    const places = new Map(this.#sites.map((site, index) => [site.name, index]));
    this.#lines = this.#pairs.flatMap(({ from, to, way }) => {
      const [one, other] = [places.get(from), places.get(to)];
      return one === undefined || other === undefined ? [] : [[one, other, way] as [number, number, Way]];
    });
  }

  /** How many lines are drawn. */
  get lines(): number {
    return this.#lines.length;
  }

  /** Move the view so that all sites, or the whole world, can be seen. */
  fit() {
    if (!this.width) return;
    let [x0, x1, y0, y1] = [-WORLD.x, WORLD.x, -WORLD.y * 0.82, WORLD.y * 0.98];
    if (this.#sites.length) {
      [x0, x1] = bounds(this.#x);
      [y0, y1] = bounds(this.#y);
      this.#fitted = true;
    }
    this.#look(x0, x1, y0, y1);
  }

  zoomTo(cluster: Cluster) {
    const xs = cluster.sites.map((index) => this.#x[index]!);
    const ys = cluster.sites.map((index) => this.#y[index]!);
    const before = this.scale;
    this.#look(...bounds(xs), ...bounds(ys));
    if (this.scale <= before * 1.2) this.zoom(2, this.left + cluster.x * this.scale, this.top + cluster.y * this.scale);
  }

  pan(dx: number, dy: number) {
    this.left += dx;
    this.top += dy;
    this.#keepInside();
    this.#landDue = true;
    this.redraw();
  }

  zoom(factor: number, atX = this.width / 2, atY = this.height / 2) {
    const smallest = Math.min(this.width / WORLD.x, this.height / WORLD.y) * ZOOM.out * 0.5;
    const scale = Math.min(Math.max(this.scale * factor, smallest), smallest * ZOOM.in);
    const real = scale / this.scale;
    this.left = atX - (atX - this.left) * real;
    this.top = atY - (atY - this.top) * real;
    this.scale = scale;
    this.#keepInside();
    this.#landDue = true;
    this.redraw();
  }

  /** What is under a point of the view. */
  find(px: number, py: number): Hit | null {
    for (const cluster of this.#clusters) {
      const radius = radiusOf(cluster.count);
      if (Math.hypot(this.left + cluster.x * this.scale - px, this.top + cluster.y * this.scale - py) <= radius) {
        return { cluster };
      }
    }
    let best = REACH;
    let found = -1;
    for (const index of this.#lone) {
      const far = Math.hypot(this.left + this.#x[index]! * this.scale - px, this.top + this.#y[index]! * this.scale - py);
      if (far > best || (far === best && this.#state[index]! < this.#state[found]!)) continue;
      best = far;
      found = index;
    }
    return found < 0 ? null : { site: this.#sites[found]! };
  }

  /** Sites inside a rectangle of the view. */
  within(x0: number, y0: number, x1: number, y1: number): Site[] {
    return this.#sites.filter((_, index) => {
      const px = this.left + this.#x[index]! * this.scale;
      const py = this.top + this.#y[index]! * this.scale;
      return px >= x0 && px <= x1 && py >= y0 && py <= y1;
    });
  }

  redraw() {
    if (!this.#frame) this.#frame = requestAnimationFrame(() => this.draw());
  }

  /** Draw what is due, now. */
  draw() {
    if (this.#frame) cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.width) return;
    const started = performance.now();
    this.#group();
    if (this.#landDue) this.#drawLand();
    if (!this.#marked && !performance.getEntriesByName("skerry-land").length) performance.mark("skerry-land");
    this.#drawSites();
    if (this.#sites.length && !this.#marked) performance.mark("skerry-map");
    this.#marked ||= this.#sites.length > 0;
    this.ondraw?.(performance.now() - started);
  }

  stop() {
    if (this.#frame) cancelAnimationFrame(this.#frame);
    this.#frame = -1;
  }

  #look(x0: number, x1: number, y0: number, y1: number) {
    const margin = Math.min(64, this.width * 0.09);
    const across = (this.width - 2 * margin) / Math.max(x1 - x0, 1e-3);
    const down = (this.height - 2 * margin) / Math.max(y1 - y0, 1e-3);
    const smallest = Math.min(this.width / WORLD.x, this.height / WORLD.y) * ZOOM.out * 0.5;
    this.scale = Math.max(Math.min(across, down, smallest * 40), smallest);
    this.left = this.width / 2 - ((x0 + x1) / 2) * this.scale;
    this.top = this.height / 2 - ((y0 + y1) / 2) * this.scale;
    this.#landDue = true;
    this.redraw();
  }

  #keepInside() {
    this.left = Math.min(Math.max(this.left, -WORLD.x * this.scale), this.width + WORLD.x * this.scale);
    this.top = Math.min(Math.max(this.top, -WORLD.y * this.scale), this.height + WORLD.y * this.scale);
  }

  // Cells are fixed to the world at steps of half an octave, so that rings stand still while the view moves.
  #group() {
    const level = Math.round(Math.log2(this.scale) * 2);
    if (level === this.#level) return;
    this.#level = level;
    const cell = CELL / 2 ** (level / 2);
    const cells = new Map<number, number[]>();
    for (let index = 0; index < this.#sites.length; index += 1) {
      const key = Math.floor(this.#x[index]! / cell) * 1e6 + Math.floor(this.#y[index]! / cell);
      const held = cells.get(key);
      if (held) held.push(index);
      else cells.set(key, [index]);
    }
    this.#clusters = [];
    this.#lone = [];
    this.#clusterOf = new Array<Cluster | null>(this.#sites.length).fill(null);
    for (const sites of cells.values()) {
      if (sites.length <= LONE) {
        this.#lone.push(...sites);
        continue;
      }
      const cluster: Cluster = { x: 0, y: 0, count: sites.length, counts: STATES.map(() => 0), sites, ring: null, due: true };
      for (const index of sites) {
        cluster.x += this.#x[index]! / sites.length;
        cluster.y += this.#y[index]! / sites.length;
        cluster.counts[this.#state[index]!]! += 1;
        this.#clusterOf[index] = cluster;
      }
      this.#clusters.push(cluster);
    }
    this.#clusters.sort((one, other) => badness(one) - badness(other) || one.count - other.count);
  }

  #drawLand() {
    this.#landDue = false;
    const context = this.#base;
    const { canvas } = context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = this.#colours.surface;
    context.fillRect(0, 0, canvas.width, canvas.height);
    const ratio = this.#ratio;
    context.setTransform(this.scale * ratio, 0, 0, this.scale * ratio, this.left * ratio, this.top * ratio);
    context.fillStyle = this.#colours.land;
    context.fill(this.#land);
    context.strokeStyle = this.#colours.line;
    context.lineWidth = 0.8 / this.scale;
    context.stroke(this.#borders);
    for (const way of WAYS) this.#drawLines(context, way);
  }

  // Under the sites, in one path for each way: colour and pattern say which.
  #drawLines(context: CanvasRenderingContext2D, way: Way) {
    context.beginPath();
    for (const [one, other, how] of this.#lines) {
      if (how !== way) continue;
      context.moveTo(this.#x[one]!, this.#y[one]!);
      context.lineTo(this.#x[other]!, this.#y[other]!);
    }
    context.setLineDash(PATTERNS[way].map((length) => length / this.scale));
    context.lineWidth = (way === "cut" ? 2.4 : 1.4) / this.scale;
    context.strokeStyle = this.#colours.ways[way];
    context.stroke();
    context.setLineDash([]);
  }

  #drawSites() {
    const { canvas } = this.#top;
    const ratio = this.#ratio;
    this.#words.fill(0);
    const order = this.#lone;
    for (let state = 0; state < STATES.length; state += 1) {
      for (const index of order) {
        if (this.#state[index] === state) this.#stamp(index, state, canvas.width, canvas.height);
      }
    }
    for (const cluster of this.#clusters) {
      const px = this.left + cluster.x * this.scale;
      const py = this.top + cluster.y * this.scale;
      if (px < -40 || py < -40 || px > this.width + 40 || py > this.height + 40) continue;
      if (cluster.due) cluster.ring = this.#rings.paint(cluster.count, cluster.counts, cluster.ring);
      cluster.due = false;
      const half = cluster.ring!.size / 2;
      copy(cluster.ring!, this.#words, canvas.width, Math.round(px * ratio - half), Math.round(py * ratio - half));
    }
    this.#top.putImageData(this.#buffer!, 0, 0);
  }

  #stamp(index: number, state: number, width: number, height: number) {
    const { size, pixels } = this.#stamps[state]!;
    const half = size >> 1;
    const px = Math.round((this.left + this.#x[index]! * this.scale) * this.#ratio) - half;
    const py = Math.round((this.top + this.#y[index]! * this.scale) * this.#ratio) - half;
    if (px < 0 || py < 0 || px + size > width || py + size > height) return;
    for (let row = 0; row < size; row += 1) {
      const to = (py + row) * width + px;
      for (let column = 0; column < size; column += 1) {
        const pixel = pixels[row * size + column]!;
        if (pixel) this.#words[to + column] = pixel;
      }
    }
  }

  /** Whatever was painted with the ones before has other colours or another size. */
  #makeRings(): Rings {
    for (const cluster of this.#clusters) {
      cluster.ring = null;
      cluster.due = true;
    }
    return new Rings(this.#ratio, this.#colours.surface, this.#colours.ink, this.#colours.states);
  }

  // A shape for each state, as in parts/Mark.svelte: disc, diamond, ring, triangle, square.
  #makeStamps() {
    const ratio = this.#ratio;
    const size = Math.round(13 * ratio) | 1;
    this.#stamps = STATES.map((state, index) => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = size;
      const context = canvas.getContext("2d")!;
      context.translate(size / 2, size / 2);
      context.scale(ratio, ratio);
      context.beginPath();
      trace(context, state);
      context.lineJoin = "round";
      context.strokeStyle = this.#colours.surface;
      context.lineWidth = 1.6;
      context.stroke();
      context.fillStyle = this.#colours.states[index]!;
      context.fill();
      if (state === "unheard") {
        context.fillStyle = this.#colours.surface;
        context.beginPath();
        context.arc(0, 0, 1.8, 0, 7);
        context.fill();
      }
      const data = context.getImageData(0, 0, size, size).data;
      for (let at = 3; at < data.length; at += 4) if (data[at]! < 96) data[at] = data[at - 1] = data[at - 2] = data[at - 3] = 0;
      return { size, pixels: new Uint32Array(data.buffer.slice(0)) };
    });
  }
}

function trace(context: CanvasRenderingContext2D, state: (typeof STATES)[number]) {
  switch (state) {
    case "well":
    case "unheard":
      context.arc(0, 0, 4, 0, 7);
      break;
    case "joining":
      context.moveTo(0, -4.8);
      context.lineTo(4.8, 0);
      context.lineTo(0, 4.8);
      context.lineTo(-4.8, 0);
      context.closePath();
      break;
    case "trouble":
      context.moveTo(0, -5);
      context.lineTo(5, 4);
      context.lineTo(-5, 4);
      context.closePath();
      break;
    case "silent":
      context.rect(-4, -4, 8, 8);
  }
}

/** Rings with trouble are drawn last. */
const badness = (cluster: Cluster) => (cluster.counts[4] ? 2 : cluster.counts[3] ? 1 : 0);

function bounds(values: Iterable<number>): [number, number] {
  let least = Infinity;
  let most = -Infinity;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return [least, most];
}
