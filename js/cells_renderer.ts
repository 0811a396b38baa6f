/**
 * The slice plot's own BokehJS renderer: cells, class pieces, edges and decision boundary from flat arrays.
 *
 * Fills an image of the frame's size in device pixels once per change of picture, range or size, draws it, and strokes edges
 * and boundary over it as vectors. Where cells are a few pixels small the edges come from the id buffer instead, which costs a
 * pass over the pixels and not over the edges.
 */

import type { Context2d } from "@bokeh/bokehjs/build/js/lib/core/util/canvas";
import { Renderer, RendererView } from "@bokeh/bokehjs/build/js/lib/models/renderers/renderer";
import { register_models } from "@bokeh/bokehjs/build/js/lib/base";
import { context2d } from "./dom.ts";
import { areLinesLight, areLinesStroked, areStroked, BESIDE_LINES, CASING_ALPHA, CASING_WIDTH, EDGE_WIDTH, edgeAlpha, idAlpha, LINE_WIDTH, lineAlpha, pixelLineAlpha } from "./edges.ts";
import type { Point } from "./geometry.ts";
import type { PictureMessage, SketchMessage } from "./protocol.ts";
import { NO_POLYGON, Raster, toPixels, type PixelMap } from "./raster.ts";
import { strokeCellEdges, strokePairs, strokeSegments } from "./strokes.ts";

const EDGE = "18, 22, 33";
const LIGHT = "255, 255, 255";
/** Under the lines of a sketch: no colour of a class or a scale. */
const SKETCH_PAPER = "rgb(233, 235, 240)";
const BOUNDARY_CORE = "rgb(17, 19, 26)";
const BOUNDARY_HALO = "rgba(255, 255, 255, 0.95)";

/** Where a picture or a sketch lies. */
type Framed = Pick<PictureMessage, "centre" | "scale" | "domain">;

export class ConvexCellsView extends RendererView {
  declare model: ConvexCells;
  declare private raster: Raster;
  declare private image: HTMLCanvasElement;
  declare private pixels: Float64Array;
  declare private piecePixels: Float64Array;
  declare private boundaryPixels: Float64Array;
  declare private picture: PictureMessage | null;
  /** What is shown in the picture's place. */
  declare private sketched: SketchMessage | null;
  declare private areLinesLight: boolean;
  declare private isStale: boolean;
  declare private isPlaced: boolean;
  declare private paintedMap: PixelMap | null;
  /** Called after the first paint of each picture with its duration in milliseconds. */
  declare onPainted: ((picture: PictureMessage, milliseconds: number) => void) | null;

  /** Bokeh paints in a promise that nobody awaits; an error in it would be lost. */
  declare onError: ((error: unknown) => void) | null;

  override initialize(): void {
    super.initialize();
    this.raster = new Raster();
    this.image = document.createElement("canvas");
    this.pixels = new Float64Array(0);
    this.piecePixels = new Float64Array(0);
    this.boundaryPixels = new Float64Array(0);
    this.picture = null;
    this.sketched = null;
    this.areLinesLight = false;
    this.isStale = true;
    this.isPlaced = false;
    this.paintedMap = null;
    this.onPainted = null;
    this.onError = null;
  }

  /** It has an element that shows nothing; Bokeh would write a style sheet for it at every paint. */
  override update_position(): void {
    if (!this.isPlaced) {
      this.isPlaced = true;
      super.update_position();
    }
  }

  /** Takes a picture and asks Bokeh for a paint. */
  show(picture: PictureMessage): void {
    this.picture = picture;
    this.sketched = null;
    this.isStale = true;
    this.request_paint();
  }

  /** Takes lines to show until the next picture, or none any more. */
  sketch(sketch: SketchMessage | null): void {
    this.sketched = sketch;
    this.request_paint();
  }

  /** The cell at a point of the frame in CSS pixels, `NO_POLYGON` outside the domain. */
  cellAt([x, y]: Point): number {
    const ratio = this.canvas.pixel_ratio;
    return this.picture === null || this.sketched !== null ? NO_POLYGON : this.raster.idAt(x * ratio, y * ratio);
  }

  protected override _paint(ctx: Context2d): void {
    try {
      if (this.sketched !== null) {
        this.paintSketch(ctx, this.sketched);
      } else if (this.picture !== null) {
        this.paintPicture(ctx, this.picture);
      }
    } catch (error) {
      this.onError?.(error);
    }
  }

  private paintPicture(ctx: Context2d, picture: PictureMessage): void {
    const began = performance.now();
    const { bbox } = this.plot_view.frame;
    const ratio = this.canvas.pixel_ratio;
    const width = Math.round(bbox.width * ratio);
    const height = Math.round(bbox.height * ratio);
    const map = this.pixelMap(picture, width, height);
    const isNew = this.isStale;
    if (isNew || !sameMap(map, this.paintedMap) || width !== this.raster.width || height !== this.raster.height) {
      this.paintRaster(picture, map, width, height, ratio);
      this.isStale = false;
      this.paintedMap = map;
    }
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, Math.round(bbox.left * ratio), Math.round(bbox.top * ratio));
    ctx.drawImage(this.image, 0, 0);
    this.paintVectors(ctx, picture, map, width, height, ratio);
    ctx.restore();
    if (isNew) {
      this.onPainted?.(picture, performance.now() - began);
    }
  }

  private paintSketch(ctx: Context2d, sketch: SketchMessage): void {
    const { bbox } = this.plot_view.frame;
    const ratio = this.canvas.pixel_ratio;
    const width = Math.round(bbox.width * ratio);
    const height = Math.round(bbox.height * ratio);
    const map = this.pixelMap(sketch, width, height);
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, Math.round(bbox.left * ratio), Math.round(bbox.top * ratio));
    ctx.beginPath();
    ctx.rect(0, 0, width, height);
    ctx.clip();
    this.traceDomain(ctx, sketch, map);
    ctx.fillStyle = SKETCH_PAPER;
    ctx.fill();
    ctx.strokeStyle = `rgba(${EDGE}, ${edgeAlpha({ ...sketch, n_cells: Math.max(sketch.n_cells, sketch.segments.length / 4) }, map, ratio).toFixed(3)})`;
    ctx.lineWidth = EDGE_WIDTH * ratio;
    this.pixels = toPixels(sketch.segments, map, this.pixels);
    strokeSegments(ctx, this.pixels, sketch.segments.length / 4, width, height);
    ctx.restore();
    this.isStale = true;
  }

  /** The outline of what a picture's cells cover, as the context's path. */
  private traceDomain(ctx: Context2d, { domain, centre, scale }: Framed, { ax, bx, ay, by }: PixelMap): void {
    ctx.beginPath();
    for (const [u0, u1] of domain) {
      ctx.lineTo(bx + (ax * (u0 - centre[0])) / scale, by + (ay * (u1 - centre[1])) / scale);
    }
    ctx.closePath();
  }

  private pixelMap({ centre, scale }: Framed, width: number, height: number): PixelMap {
    const { x_range, y_range } = this.plot_view.frame;
    const perX = width / (x_range.end - x_range.start);
    const perY = height / (y_range.end - y_range.start);
    return {
      ax: scale * perX,
      bx: (centre[0] - x_range.start) * perX,
      ay: -scale * perY,
      by: (y_range.end - centre[1]) * perY,
    };
  }

  private paintRaster(picture: PictureMessage, map: PixelMap, width: number, height: number, ratio: number): void {
    const { raster, image } = this;
    raster.reset(width, height);
    this.pixels = toPixels(picture.vertices, map, this.pixels);
    const cells = { points: picture.vertices, offsets: picture.cellOffsets, indices: picture.cellVertices };
    raster.fill(cells, this.pixels, picture.colours, true);
    if (picture.pieceColours.length > 0) {
      this.piecePixels = toPixels(picture.piecePoints, map, this.piecePixels);
      const pieces = { points: picture.piecePoints, offsets: picture.pieceOffsets, indices: null };
      raster.fill(pieces, this.piecePixels, picture.pieceColours, false);
    }
    this.areLinesLight = areLinesLight(raster.lightness(1), this.areLinesLight);
    if (!areStroked(picture, map, ratio)) {
      raster.strokeIds(Math.round(256 * idAlpha(this.edgeAlpha(picture, map, ratio), ratio)));
    }
    const { lines, lineEnds } = picture;
    if (lines !== null && !areLinesStroked(lines, picture.scale, map, ratio)) {
      const alpha = pixelLineAlpha(lineAlpha(picture, lines.length, map, ratio), ratio);
      raster.strokePairs(lineEnds, this.pixels, Math.round(256 * alpha), this.areLinesLight);
    }
    image.width = width;
    image.height = height;
    const data = new ImageData(new Uint8ClampedArray(raster.rgba.buffer), width, height);
    context2d(image).putImageData(data, 0, 0);
  }

  /** Where a layer's lines are shown, all other edges are faint. */
  private edgeAlpha(picture: PictureMessage, map: PixelMap, ratio: number): number {
    return (picture.lines === null ? 1 : BESIDE_LINES) * edgeAlpha(picture, map, ratio);
  }

  private paintVectors(
    ctx: Context2d,
    picture: PictureMessage,
    map: PixelMap,
    width: number,
    height: number,
    ratio: number,
  ): void {
    if (areStroked(picture, map, ratio)) {
      ctx.strokeStyle = `rgba(${EDGE}, ${this.edgeAlpha(picture, map, ratio).toFixed(3)})`;
      ctx.lineWidth = EDGE_WIDTH * ratio;
      strokeCellEdges(ctx, picture, this.pixels, width, height);
    }
    const { lines, lineEnds } = picture;
    if (lines !== null && areLinesStroked(lines, picture.scale, map, ratio)) {
      const alpha = lineAlpha(picture, lines.length, map, ratio);
      const [ink, casing] = this.areLinesLight ? [LIGHT, EDGE] : [EDGE, LIGHT];
      for (const [colour, opacity, weight] of [[casing, CASING_ALPHA * alpha, LINE_WIDTH + CASING_WIDTH], [ink, alpha, LINE_WIDTH]] as const) {
        ctx.strokeStyle = `rgba(${colour}, ${opacity.toFixed(3)})`;
        ctx.lineWidth = weight * ratio;
        strokePairs(ctx, this.pixels, lineEnds, width, height);
      }
    }
    if (!picture.complete) {
      this.traceDomain(ctx, picture, map);
      ctx.strokeStyle = `rgb(${EDGE})`;
      ctx.lineWidth = 1.5 * ratio;
      ctx.setLineDash([6 * ratio, 4 * ratio]);
      ctx.stroke();
      ctx.setLineDash([]);
    }
    if (picture.boundary.length > 0) {
      ctx.lineCap = "round";
      this.boundaryPixels = toPixels(picture.boundary, map, this.boundaryPixels);
      const n = picture.boundary.length / 4;
      ctx.strokeStyle = BOUNDARY_HALO;
      ctx.lineWidth = 4.5 * ratio;
      strokeSegments(ctx, this.boundaryPixels, n, width, height);
      ctx.strokeStyle = BOUNDARY_CORE;
      ctx.lineWidth = 2 * ratio;
      strokeSegments(ctx, this.boundaryPixels, n, width, height);
    }
  }
}

function sameMap(a: PixelMap, b: PixelMap | null): boolean {
  return b !== null && a.ax === b.ax && a.bx === b.bx && a.ay === b.ay && a.by === b.by;
}

export interface ConvexCells {
  __view_type__: ConvexCellsView;
}

export class ConvexCells extends Renderer {
  static override __name__ = "ConvexCells";
  static override __module__ = "splinecam_widget";
  static {
    this.prototype.default_view = ConvexCellsView;
  }
}

register_models([ConvexCells]);
