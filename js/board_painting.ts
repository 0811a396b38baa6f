/** What is drawn on the board's canvas: thumbnails from the atlas, or the input plane with the picture's edges. */

import { context2d, element } from "./dom.ts";
import { CASING_WIDTH, LINE_WIDTH, MAX_STROKED_LINES } from "./edges.ts";
import { toPixel, type Rect, type Size } from "./geometry.ts";
import type { BoardMessage, PictureMessage } from "./protocol.ts";
import { strokeCellEdges, strokePairs, strokeSegments } from "./strokes.ts";

/** Above this many cells only domain, boundary, and the lines of a chosen layer if they are few, are drawn over the input plane. */
const MAX_EDGE_CELLS = 30_000;
/** A thumbnail is never drawn smaller than this, in CSS pixels. */
const MIN_THUMBNAIL = 5;
const LABEL_BAR = 0.1;

export class BoardPainting {
  readonly el = element("canvas", { class: "sc-layer", "aria-hidden": "true" });
  private board: BoardMessage | null = null;
  private image: ImageBitmap | null = null;
  private picture: PictureMessage | null = null;
  private pixels = new Float64Array(0);
  private target = -1;
  /** The thumbnails alone, painted anew only when the view changes: a drag moves nothing but the mark of its target. */
  private readonly thumbnails = element("canvas");
  private thumbnailsView = "";
  private shownTarget = -1;

  setBoard(board: BoardMessage, image: ImageBitmap | null): void {
    this.image?.close();
    this.board = board;
    this.image = image;
    this.thumbnailsView = "";
  }

  setPicture(picture: PictureMessage): void {
    this.picture = picture;
  }

  /** The image that a dragged handle would snap to, −1 for none. */
  setTarget(index: number): void {
    this.target = index;
  }

  destroy(): void {
    this.image?.close();
    this.image = null;
    this.el.remove();
  }

  paint(view: Rect, size: Size): void {
    const ratio = window.devicePixelRatio;
    const width = Math.round(size.width * ratio);
    const height = Math.round(size.height * ratio);
    const isMap = this.board?.mode === "images";
    const asked = `${view.join()} ${width} ${height}`;
    if (isMap && asked === this.thumbnailsView && this.target === this.shownTarget) {
      return;
    }
    const pen = cleared(this.el, width, height, ratio);
    if (this.board !== null && isMap) {
      if (asked !== this.thumbnailsView) {
        this.paintThumbnails(cleared(this.thumbnails, width, height, ratio), this.board, view, size);
        this.thumbnailsView = asked;
      }
      pen.drawImage(this.thumbnails, 0, 0, size.width, size.height);
      this.markTarget(pen, this.board, view, size);
      this.shownTarget = this.target;
    } else if (this.board?.mode === "plane") {
      this.paintPlane(pen, this.board, view, size, ratio);
    }
  }

  private paintThumbnails(pen: CanvasRenderingContext2D, board: BoardMessage, view: Rect, size: Size): void {
    const { image } = this;
    if (image === null || board.thumbnail === null || board.cell === null) {
      return;
    }
    const [tileWidth, tileHeight] = board.thumbnail;
    const [width, height] = thumbnailSize(board, view, size);
    pen.imageSmoothingEnabled = width < tileWidth * 1.5;
    const perX = size.width / (view[1] - view[0]);
    const perY = size.height / (view[3] - view[2]);
    for (let i = 0; i < board.n_images; i++) {
      const x = (board.positions[2 * i] - view[0]) * perX - width / 2;
      const y = (view[3] - board.positions[2 * i + 1]) * perY - height / 2;
      if (x > -width && x < size.width && y > -height && y < size.height) {
        const column = i % board.columns;
        const row = (i - column) / board.columns;
        pen.drawImage(image, column * tileWidth, row * tileHeight, tileWidth, tileHeight, x, y, width, height);
        const colour = board.class_colours[String(board.labels[i])];
        if (colour !== undefined) {
          const bar = Math.max(1.5, height * LABEL_BAR);
          pen.fillStyle = colour;
          pen.fillRect(x, y + height - bar, width, bar);
        }
      }
    }
  }

  private markTarget(pen: CanvasRenderingContext2D, board: BoardMessage, view: Rect, size: Size): void {
    const [width, height] = thumbnailSize(board, view, size);
    if (this.target >= 0) {
      const [x, y] = toPixel(view, size, [board.positions[2 * this.target], board.positions[2 * this.target + 1]]);
      const side = Math.max(width, height, 12);
      for (const [colour, weight] of [["rgba(10, 12, 18, 0.7)", 5], ["#ffffff", 2.5]] as const) {
        pen.strokeStyle = colour;
        pen.lineWidth = weight;
        pen.strokeRect(x - side / 2 - 2, y - side / 2 - 2, side + 4, side + 4);
      }
    }
  }

  private paintPlane(pen: CanvasRenderingContext2D, { extent }: BoardMessage, view: Rect, size: Size, ratio: number): void {
    if (this.image !== null && extent !== null) {
      const [left, top] = toPixel(view, size, [extent[0], extent[3]]);
      const [right, bottom] = toPixel(view, size, [extent[1], extent[2]]);
      pen.imageSmoothingEnabled = right - left < this.image.width * 1.5;
      pen.drawImage(this.image, left, top, right - left, bottom - top);
    }
    const { picture } = this;
    if (picture === null || picture.to_input === null) {
      return;
    }
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.lineCap = "round";
    const width = size.width * ratio;
    const height = size.height * ratio;
    const { lines, lineEnds } = picture;
    const hasEdges = picture.n_cells <= MAX_EDGE_CELLS;
    const hasLines = lines !== null && lines.n_edges <= MAX_STROKED_LINES;
    if (hasEdges || hasLines) {
      this.toBoardPixels(picture, picture.vertices, view, width, height);
    }
    if (hasEdges) {
      pen.strokeStyle = `rgba(255, 255, 255, ${lines === null ? 0.5 : 0.2})`;
      pen.lineWidth = 0.9 * ratio;
      strokeCellEdges(pen, picture, this.pixels, width, height);
    }
    if (hasLines) {
      for (const [colour, weight] of [["rgba(10, 12, 18, 0.5)", LINE_WIDTH + CASING_WIDTH], ["rgba(255, 255, 255, 0.9)", LINE_WIDTH]] as const) {
        pen.strokeStyle = colour;
        pen.lineWidth = weight * ratio;
        strokePairs(pen, this.pixels, lineEnds, width, height);
      }
    }
    this.toBoardPixels(picture, picture.boundary, view, width, height);
    for (const [colour, weight] of [["rgba(255, 255, 255, 0.9)", 3.6], ["rgb(17, 19, 26)", 1.6]] as const) {
      pen.strokeStyle = colour;
      pen.lineWidth = weight * ratio;
      strokeSegments(pen, this.pixels, picture.boundary.length / 4, width, height);
    }
    this.outlineDomain(pen, picture, view, width, height, ratio);
  }

  private outlineDomain(
    pen: CanvasRenderingContext2D,
    { domain, to_input }: PictureMessage,
    view: Rect,
    width: number,
    height: number,
    ratio: number,
  ): void {
    const { origin, basis } = to_input!;
    pen.beginPath();
    for (const [u0, u1] of domain) {
      const x = origin[0] + u0 * basis[0][0] + u1 * basis[1][0];
      const y = origin[1] + u0 * basis[0][1] + u1 * basis[1][1];
      pen.lineTo(...toPixel(view, { width, height }, [x, y]));
    }
    pen.closePath();
    pen.strokeStyle = "rgba(10, 12, 18, 0.8)";
    pen.lineWidth = 1.5 * ratio;
    pen.stroke();
  }

  /** The picture's wire coordinates as device pixels of the board, into the buffer that is kept. */
  private toBoardPixels(picture: PictureMessage, points: Float32Array, view: Rect, width: number, height: number): void {
    const { centre, scale } = picture;
    const { origin, basis } = picture.to_input!;
    if (this.pixels.length < points.length) {
      this.pixels = new Float64Array(Math.ceil(points.length * 1.25));
    }
    const perX = width / (view[1] - view[0]);
    const perY = height / (view[3] - view[2]);
    for (let i = 0; i < points.length; i += 2) {
      const u0 = centre[0] + scale * points[i];
      const u1 = centre[1] + scale * points[i + 1];
      this.pixels[i] = (origin[0] + u0 * basis[0][0] + u1 * basis[1][0] - view[0]) * perX;
      this.pixels[i + 1] = (view[3] - origin[1] - u0 * basis[0][1] - u1 * basis[1][1]) * perY;
    }
  }
}

/** The pen of an empty canvas of so many device pixels, in CSS pixels. */
function cleared(canvas: HTMLCanvasElement, width: number, height: number, ratio: number): CanvasRenderingContext2D {
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const pen = context2d(canvas);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  return pen;
}

/** Width and height of a thumbnail in CSS pixels. */
function thumbnailSize({ cell }: BoardMessage, view: Rect, size: Size): readonly [number, number] {
  const [width, height] = cell ?? [0, 0];
  return [
    Math.max((width / (view[1] - view[0])) * size.width, MIN_THUMBNAIL),
    Math.max((height / (view[3] - view[2])) * size.height, MIN_THUMBNAIL),
  ];
}
