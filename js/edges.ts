/**
 * How strong the edges of cells are, and which of two ways draws them: vectors, or the borders in the id buffer. Pure.
 *
 * Both ways lay the same ink on an edge or a line, so that a zoom past the threshold between them shows nothing.
 */

import { polygonArea } from "./geometry.ts";
import type { Lines, PictureMessage } from "./protocol.ts";
import type { PixelMap } from "./raster.ts";

/** Width of a stroke in CSS pixels. */
export const EDGE_WIDTH = 0.8;
/** Mean cell width, in CSS pixels, below which edges come from the id buffer: no worse to look at, and paths cost more. */
const LEAST_STROKED_CELL = 5;
/**
 * Cells of a picture above which its edges come from the id buffer at any zoom: strokes walk all cells at every paint, also of
 * a large picture that is on show only until that of the view comes. A view has fewer cells of the least stroked width.
 */
const MAX_STROKED_CELLS = 60_000;
/** Mean cell width, in CSS pixels, at which edges have their full weight; they fade below. */
const FULL_EDGE_CELL = 14;
const EDGE_ALPHA = 0.55;
/** Width, in CSS pixels, and opacity of the lines of a layer that was chosen, and how strong all other edges are beside them. */
export const LINE_WIDTH = 1.3;
const LINE_ALPHA = 0.92;
/** Of the casing of a line, which keeps it in sight on colours like its own: how much wider it is, and its share of opacity. */
export const CASING_WIDTH = 1.6;
export const CASING_ALPHA = 0.4;
export const BESIDE_LINES = 0.35;
/** Edges of a layer above which its lines are pixels and no strokes: so many strokes take longer than all cells. */
export const MAX_STROKED_LINES = 15_000;
/** Mean length, in CSS pixels, of a layer's edges below which its lines are pixels: strokes leave out what is tiny. */
const LEAST_STROKED_LINE = 3;
/** Width in device pixels of a line of pixels, one for each row or column, over all directions. */
const PIXEL_LINE_WIDTH = (2 * Math.SQRT2) / Math.PI;
/**
 * Width in device pixels of an edge in the id buffer, over all directions: a pixel counts where the one to the right or the one
 * below differs, which makes |cos t| + |sin t| one way up and max(|cos t|, |sin t|) the other, (2 + √2) / π in the mean.
 */
const ID_EDGE_WIDTH = (2 + Math.SQRT2) / Math.PI;

/** Where a picture or a sketch lies, and its cells. */
export type Counted = Pick<PictureMessage, "domain" | "scale" | "n_cells">;

/** Whether edges are stroked as vectors. */
export function areStroked(picture: Counted, map: PixelMap, ratio: number): boolean {
  return picture.n_cells <= MAX_STROKED_CELLS && cellWidth(picture, map, ratio) >= LEAST_STROKED_CELL;
}

/** Opacity of a stroke; edges fade where cells are so small that only edges would be seen. */
export function edgeAlpha(picture: Counted, map: PixelMap, ratio: number): number {
  return EDGE_ALPHA * Math.min(1, cellWidth(picture, map, ratio) / FULL_EDGE_CELL);
}

/** Opacity of a layer's lines of a length in all; they fade where they would cover the cells. */
export function lineAlpha({ domain, scale }: Counted, length: number, { ax }: PixelMap, ratio: number): number {
  // In a grid, the edges of each cell have twice its width in all.
  const width = (2 * polygonArea(domain) * Math.abs(ax)) / (scale * length) / ratio;
  return LINE_ALPHA * Math.min(1, width / FULL_EDGE_CELL);
}

/** Opacity of the pixels of a line that is as strong as a stroke of opacity `alpha`. */
export function pixelLineAlpha(alpha: number, ratio: number): number {
  return Math.min(1, (alpha * LINE_WIDTH * ratio) / PIXEL_LINE_WIDTH);
}

/** Whether a layer's lines are stroked. */
export function areLinesStroked({ n_edges: n, length }: Lines, scale: number, { ax }: PixelMap, ratio: number): boolean {
  return n <= MAX_STROKED_LINES && (length * Math.abs(ax)) / (scale * ratio) >= n * LEAST_STROKED_LINE;
}

/** Whether a layer's lines are white: on dark colours, and for a while longer, so that a zoom does not make them flicker. */
export function areLinesLight(lightness: number, areLight: boolean): boolean {
  return lightness < (areLight ? 0.46 : 0.38);
}

/** Opacity of the pixels of an edge in the id buffer that is as strong as a stroke of opacity `alpha`. */
export function idAlpha(alpha: number, ratio: number): number {
  return Math.min(1, (alpha * EDGE_WIDTH * ratio) / ID_EDGE_WIDTH);
}

/** Side of a square of the mean cell's area, in CSS pixels. */
function cellWidth({ n_cells, domain, scale }: Counted, { ax, ay }: PixelMap, ratio: number): number {
  const pixelsPerArea = Math.abs(ax * ay) / (scale * scale);
  return Math.sqrt((polygonArea(domain) * pixelsPerArea) / Math.max(1, n_cells)) / ratio;
}
