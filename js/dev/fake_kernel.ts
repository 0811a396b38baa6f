/** Python's side for the dev page: answers requests as docs/protocol.md says, with the fake network. */

import { fitted, type Point, type Rect } from "../geometry.ts";
import type { Request } from "../model.ts";
import type { Drawn } from "../protocol.ts";
import type { FakeModel, Kernel } from "./fake_model.ts";
import { area, at, FakeNetwork, normal, randomNumbers, type Cell } from "./fake_network.ts";
import { cellsOf, CLASS_COLOURS, linesOf, manyCells, wire, type Wire } from "./fake_partition.ts";
import { COLUMNS, drawAtlas, drawBackdrop, drawBlend, pngOf, TILE } from "./fake_pictures.ts";

export interface FakeOptions {
  readonly mode: "images" | "plane" | "empty";
  /** Milliseconds a computation takes. */
  readonly delay: number;
  /** When positive: this many meaningless cells instead of the network's. */
  readonly cells: number;
  readonly images: number;
  /** What the checks of every picture find. */
  readonly certificate: "none" | "sound" | "approximation" | "unsound" | "failed";
}

interface Anchor {
  readonly x: readonly number[];
  readonly board: Point | null;
  readonly name: string;
  readonly indices: readonly number[];
  readonly weights: readonly number[];
}

const CLASSES = 10;
const WIDTHS = [18, 14];
const LIMITS = { finest: 1e-8, coarsest: 1e8 };

function certificateFigures(nCells: number, isSound: boolean): string[][] {
  return [
    ["cells", nCells.toLocaleString("en-US")],
    ["maps and patterns checked", nCells > 256 ? "of 256 cells, sampled" : "of all cells"],
    ["areas against the domain's", "1.1e-16"],
    ["V − E + F", "1"],
    ["cells not convex", "0"],
    ["edges without their cells", "0"],
    ["cells with two patterns", isSound ? "0" : "3, expected 0"],
    ["against the model itself in float64", isSound ? "3.4e-16" : "2.7e-02, expected at most 1e-09"],
    ["ties on the boundary", "1.2e-15"],
    ["crossings float64 cannot tell apart", "0"],
  ];
}

/** Whether a counter-clockwise polygon holds a point. */
function holds(corners: readonly Point[], [x, y]: Point): boolean {
  return corners.every((to, i) => {
    const from = corners[(i + corners.length - 1) % corners.length];
    return (to[0] - from[0]) * (y - from[1]) - (to[1] - from[1]) * (x - from[0]) >= 0;
  });
}

export class FakeKernel implements Kernel {
  private readonly network: FakeNetwork;
  private readonly latents: number[][] = [];
  private readonly labels: Int32Array;
  private readonly positions: Float32Array;
  private readonly atlas: HTMLCanvasElement;
  private anchors: Anchor[];
  private plane = 1;
  private origin: number[] = [];
  private basis: [number[], number[]] = [[], []];
  private view: Rect = [-1, 1, -1, 1];
  private cells: Cell[] = [];
  private packed: Wire | null = null;
  private pending: Request | null = null;
  private timer = 0;
  private number = 0;
  private checkTimer = 0;

  constructor(private readonly options: FakeOptions) {
    const random = randomNumbers(7);
    const isPlane = options.mode === "plane";
    this.network = new FakeNetwork(isPlane ? 2 : 6, WIDTHS, isPlane ? 3 : CLASSES, 5);
    this.labels = Int32Array.from({ length: options.images }, (_, i) => i % CLASSES);
    this.positions = new Float32Array(2 * options.images);
    this.labels.forEach((label, i) => {
      const angle = (label / CLASSES) * 2 * Math.PI;
      const spread = 1.1 + 0.3 * Math.sin(3 * label);
      const place: Point = [4 * Math.cos(angle) * (0.6 + 0.4 * (label % 2)) + normal(random) * spread, 4 * Math.sin(angle) + normal(random) * spread];
      this.positions.set(place, 2 * i);
      this.latents.push([place[0] / 3, place[1] / 3, ...Array.from({ length: 4 }, () => normal(random) * 0.5)]);
    });
    this.atlas = drawAtlas(this.labels, random);
    this.anchors = isPlane
      ? ([[-0.5, -0.4], [0.6, -0.2], [0.1, 0.6]] as Point[]).map((x) => this.pointAnchor(x))
      : [3, 104, 208].map((index) => (options.mode === "empty" ? { ...this.imageAnchor(index), board: null } : this.imageAnchor(index)));
    this.lay();
  }

  onMessage(model: FakeModel, content: { readonly kind: string } & Record<string, unknown>): void {
    if (content.kind === "hello") {
      setTimeout(() => void this.greet(model, String(content["view_id"])), this.options.delay);
    } else if (content.kind === "inspect") {
      setTimeout(() => this.inspect(model, content), this.options.delay / 2);
    }
  }

  onLayer(model: FakeModel): void {
    const { lines, lineEnds } = this.drawn(model);
    setTimeout(() => model.deliver({ kind: "lines", number: this.number, lines }, [lineEnds]), this.options.delay);
  }

  /** The lines of the layer that is chosen. */
  private drawn(model: FakeModel): Drawn {
    const layer = model.get("layer");
    const name = layer === null ? undefined : model.get("_layers")[layer];
    if (layer === null || name === undefined || this.packed === null || this.options.cells > 0) {
      return { lines: null, lineEnds: new Uint32Array(0) };
    }
    const [left, right, bottom, top] = this.view;
    const units = this.network.firstUnits({ origin: this.origin, basis: this.basis });
    const { ends, nBent, length } = linesOf(this.packed, units, layer > 0, [(left + right) / 2, (bottom + top) / 2], (right - left) / 2);
    const nUnits = WIDTHS[layer];
    return { lines: { layer, name, n_units: nUnits, n_bent: layer > 0 ? nUnits : nBent, n_edges: ends.length / 2, length }, lineEnds: ends };
  }

  onRequest(model: FakeModel): void {
    this.pending = model.get("_request") as Request;
    model.assign("status", { state: "computing", text: "Computing", sequence: this.pending.sequence });
    if (this.timer === 0) {
      this.timer = window.setTimeout(() => {
        this.timer = 0;
        const request = this.pending;
        this.pending = null;
        if (request !== null) {
          void this.carryOut(model, request);
        }
      }, this.options.delay);
    }
  }

  /** A range set in Python, by nobody's request. */
  async show(model: FakeModel, domain: Rect | null): Promise<void> {
    this.view = domain ?? this.defaultView();
    await this.answer(model, model.get("status").sequence ?? 0, null);
  }

  private async greet(model: FakeModel, viewId: string): Promise<void> {
    const { mode } = this.options;
    const board = { kind: "board", mode, n_images: 0, thumbnail: null, columns: 1, class_names: null, class_colours: {}, has_labels: false, extent: null, cell: null };
    if (mode === "images") {
      const content = { ...board, n_images: this.labels.length, thumbnail: [TILE, TILE], columns: COLUMNS, class_colours: { ...CLASS_COLOURS }, has_labels: true, cell: [0.2, 0.2] };
      model.deliver(content, [this.positions, this.labels, await pngOf(this.atlas)]);
    } else if (mode === "plane") {
      model.deliver({ ...board, extent: [-1.2, 1.2, -1.2, 1.2] }, [await pngOf(drawBackdrop(160))]);
    } else {
      model.deliver(board);
    }
    await this.answer(model, 0, viewId);
  }

  private async carryOut(model: FakeModel, request: Request): Promise<void> {
    let isNewPlane = false;
    request.anchors.forEach((wish, index) => {
      if (wish.kind === "image") {
        this.anchors[index] = this.imageAnchor(wish.index);
      } else if (wish.kind === "blend") {
        this.anchors[index] = this.blendAnchor(wish.indices, wish.weights);
      } else if (wish.kind === "point") {
        this.anchors[index] = this.pointAnchor(wish.x);
      } else if (wish.kind === "slice") {
        const x = this.origin.map((o, i) => o + wish.u[0] * this.basis[0][i] + wish.u[1] * this.basis[1][i]);
        this.anchors[index] = this.options.mode === "plane" ? this.pointAnchor([x[0], x[1]]) : this.sliceAnchor(x);
      }
      isNewPlane ||= wish.kind === "image" || wish.kind === "blend";
    });
    if (isNewPlane) {
      this.plane += 1;
      this.lay();
    }
    if (request.domain === null) {
      this.view = this.defaultView();
    } else if (request.domain !== "keep" && request.plane === this.plane) {
      this.view = request.domain as unknown as Rect;
    }
    await this.answer(model, request.sequence, request.view_id);
  }

  private async answer(model: FakeModel, sequence: number, view_id: string | null): Promise<void> {
    const began = performance.now();
    const { anchors, plane, view } = this;
    const pictures = await Promise.all(anchors.map(({ indices, weights }) => pngOf(drawBlend(this.atlas, indices, weights))));
    const predictions = anchors.map(({ x }) => this.prediction(x));
    model.deliver(
      {
        kind: "anchors",
        sequence,
        view_id,
        plane,
        slice: anchors.map(({ x }) => this.toSlice(x)),
        board: anchors.map(({ board }) => board),
        names: anchors.map(({ name }) => name),
        predictions,
        is_class: true,
        picture_size: this.options.mode === "plane" ? null : [TILE, TILE],
        notes: ["", "", ""],
      },
      this.options.mode === "plane" ? [] : pictures,
    );
    const [left, right, bottom, top] = view;
    const centre: Point = [(left + right) / 2, (bottom + top) / 2];
    const scale = (right - left) / 2;
    const domain: Point[] = [[left, bottom], [right, bottom], [right, top], [left, top]];
    let packedCells;
    if (this.options.cells > 0) {
      packedCells = manyCells(this.options.cells, view, centre, scale);
      this.cells = cellsOf(packedCells, centre, scale);
    } else {
      this.cells = this.network.cells({ origin: this.origin, basis: this.basis }, domain);
      packedCells = wire(this.cells, centre, scale, model.get("color_by"));
    }
    const nCells = packedCells.colours.length;
    this.number += 1;
    const w = packedCells;
    this.packed = w;
    const drawn = this.drawn(model);
    model.deliver(
      {
        kind: "picture",
        sequence,
        view_id,
        plane,
        centre,
        scale,
        domain,
        view,
        number: this.number,
        limits: LIMITS,
        n_cells: nCells,
        n_vertices: w.nVertices,
        n_regions: nCells,
        exact: true,
        complete: true,
        to_input: this.options.mode === "plane" ? { origin: this.origin, basis: this.basis } : null,
        legend: w.legend,
        timing: {},
        lines: drawn.lines,
      },
      [w.vertices, w.cellOffsets, w.cellVertices, w.colours, w.boundary, w.piecePoints, w.pieceOffsets, w.pieceColours, drawn.lineEnds],
    );
    const seconds = (performance.now() - began) / 1000;
    const text = `${nCells.toLocaleString("en-US")} cells · ${nCells.toLocaleString("en-US")} linear regions · exact · ${Math.round(seconds * 1000)} ms`;
    model.assign("status", { state: this.pending === null ? "exact" : "computing", text, note: "", cells: nCells, regions: nCells, seconds, sequence, view_id });
    this.check(model, sequence, view_id, nCells);
  }

  /** Takes as long as the picture took, twice. */
  private check(model: FakeModel, sequence: number, view_id: string | null, nCells: number): void {
    const { number } = this;
    const verdict = this.options.certificate;
    clearTimeout(this.checkTimer);
    if (verdict !== "none") {
      const figures = verdict === "failed" ? [["error", "CUDA error: out of memory"]] : certificateFigures(nCells, verdict !== "unsound");
      const content = { kind: "certificate", sequence, view_id, number, verdict, figures };
      this.checkTimer = window.setTimeout(() => model.deliver(content), 2 * this.options.delay);
    }
  }

  private inspect(model: FakeModel, { view_id, id, u }: Record<string, unknown>): void {
    const [u0, u1] = u as Point;
    const [left, right, bottom, top] = this.view;
    const cell = this.cells.findIndex(({ corners }) => holds(corners, [u0, u1]));
    const found = this.cells[cell];
    const isCut = found?.corners.some(([x, y]) => x <= left || x >= right || y <= bottom || y >= top) ?? false;
    const logits = found?.logits.map((logit) => at(logit, [u0, u1])) ?? [];
    void pngOf(drawBlend(this.atlas, [0, 1, 2], [0.5, 0.3, 0.2])).then((png) =>
      model.deliver(
        {
          kind: "inspection",
          view_id,
          id,
          number: this.number,
          cell,
          is_cut: isCut,
          area: found === undefined ? null : area(found.corners),
          prediction: found === undefined ? "" : `class ${logits.indexOf(Math.max(...logits))}`,
          is_class: true,
          values: logits.map((value, k) => ({ name: String(k), value })),
          slope: found === undefined ? null : Math.hypot(found.logits[0][0], found.logits[0][1]),
          edge: cell < 0 ? null : { layer: 1, unit: 5, name: "3 (relu), unit 5", distance: 0.0123 },
          distance: cell < 0 ? null : { value: 0.25, is_bound: isCut },
          picture_size: [TILE, TILE],
          error: "",
        },
        [png],
      ),
    );
  }

  private imageAnchor(index: number): Anchor {
    const board: Point = [this.positions[2 * index], this.positions[2 * index + 1]];
    return { x: this.latents[index], board, name: `image ${index}, label ${this.labels[index]}`, indices: [index], weights: [1] };
  }

  private blendAnchor(indices: readonly number[], weights: readonly number[]): Anchor {
    const mix = (value: (index: number) => number): number => indices.reduce((sum, index, i) => sum + weights[i] * value(index), 0);
    return {
      x: this.latents[0].map((_, k) => mix((index) => this.latents[index][k])),
      board: [mix((index) => this.positions[2 * index]), mix((index) => this.positions[2 * index + 1])],
      name: `blend of ${indices.join(", ")}`,
      indices,
      weights,
    };
  }

  /** Stands among the three nearest images, nearer to the nearer. */
  private sliceAnchor(x: readonly number[]): Anchor {
    const distance = (index: number): number => Math.hypot(...this.latents[index].map((value, k) => value - x[k]));
    const indices = this.latents.map((_, index) => index).sort((a, b) => distance(a) - distance(b)).slice(0, 3);
    const raw = indices.map((index) => 1 / distance(index) ** 2);
    const weights = raw.map((weight) => weight / raw.reduce((sum, w) => sum + w, 0));
    const { board } = this.blendAnchor(indices, weights);
    return { x, board: this.options.mode === "images" ? board : null, name: "in the slice", indices, weights };
  }

  private pointAnchor(x: Point): Anchor {
    return { x, board: x, name: `(${x.map((value) => value.toFixed(2)).join(", ")})`, indices: [], weights: [] };
  }

  private prediction(x: readonly number[]): string {
    const logits = this.network.logits(x);
    return `class ${logits.indexOf(Math.max(...logits))}`;
  }

  /** Takes origin and basis from the anchors. */
  private lay(): void {
    if (this.options.mode === "plane") {
      this.origin = [0, 0];
      this.basis = [[1, 0], [0, 1]];
      this.view = [-1, 1, -1, 1];
      return;
    }
    const [a, b, c] = this.anchors.map(({ x }) => x);
    const unit = (v: readonly number[]): number[] => v.map((value) => value / Math.hypot(...v));
    const first = unit(b.map((value, i) => value - a[i]));
    const across = c.map((value, i) => value - a[i]);
    const along = across.reduce((sum, value, i) => sum + value * first[i], 0);
    this.origin = a.map((value, i) => (value + b[i] + c[i]) / 3);
    this.basis = [first, unit(across.map((value, i) => value - along * first[i]))];
    this.view = this.defaultView();
  }

  private defaultView(): Rect {
    if (this.options.mode === "plane") {
      return [-1, 1, -1, 1];
    }
    const points = this.anchors.map(({ x }) => this.toSlice(x));
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    const margin = 0.45 * Math.max(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
    const box: Rect = [Math.min(...xs) - margin, Math.max(...xs) + margin, Math.min(...ys) - margin, Math.max(...ys) + margin];
    return fitted(box, { width: 1, height: 1 });
  }

  private toSlice(x: readonly number[]): Point {
    const along = (v: readonly number[]): number => v.reduce((sum, value, i) => sum + value * (x[i] - this.origin[i]), 0);
    return [along(this.basis[0]), along(this.basis[1])];
  }
}
