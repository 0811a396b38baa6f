/**
 * The slice plot with what lies over its frame: handles, the hovered cell, the mark of a stale picture, gestures.
 *
 * Knows the picture on show and the ranges; what a move means for Python is the session's business.
 */

import { Camera } from "./camera.ts";
import { assign, element, svgElement } from "./dom.ts";
import { clamped, fitted, fromPixel, toPixel, type Point, type Rect, type Size } from "./geometry.ts";
import { Handles } from "./handles.ts";
import { Outline } from "./outline.ts";
import { SlicePlot, type Frame } from "./plot.ts";
import type { ColoursMessage, LinesMessage, PictureMessage, SketchMessage } from "./protocol.ts";
import type { ThemeColours } from "./theme.ts";
import { formatPlace } from "./format.ts";
import type { Limits } from "./limits.ts";

export interface SliceEvents {
  onAnchor(index: number, u: Point): void;
  onView(view: Rect): void;
  /** The pointer is at `u` over cell `cell` of a view that is `span` wide; null when it has left. */
  onHover(hover: { readonly u: Point; readonly cell: number; readonly span: number } | null): void;
  onPainted(picture: PictureMessage, milliseconds: number): void;
  /** The frame begins `left` CSS pixels from the panel's left; the legend stands in line with it. */
  onFrame(left: number): void;
  onError(error: unknown): void;
  isFocused(): boolean;
}

const KEY_STEP = 1 / 50;
const LARGE_STEP = 5;
const HINT_MILLISECONDS = 1600;
const WHEEL_HINT = "Click the plot or hold Ctrl to zoom with the wheel";
const STOP_HINTS: Readonly<Record<keyof Limits, string>> = {
  finest: "As close as float64 can see",
  coarsest: "As far out as float64 can see",
};
const STALE_MILLISECONDS = 400;

export class SlicePanel {
  readonly el = element("div", { class: "sc-slice" });
  private readonly overlay = element("div", {
    class: "sc-frame",
    tabindex: 0,
    role: "group",
    "aria-label": "Slice plot",
    "aria-roledescription": "plot",
  });
  private readonly highlight = new Outline("sc-hovered");
  private readonly hint = element("div", { class: "sc-hint", role: "status", "aria-label": "Hint" });
  /** What the status line says, while there is no picture; it may be out of sight. */
  private readonly notice = element("div", { class: "sc-notice", "aria-hidden": "true", hidden: true });
  private readonly handles: Handles;
  private readonly camera: Camera;
  private readonly plot: SlicePlot;
  private readonly sizes: ResizeObserver;
  private picture: PictureMessage | null = null;
  private anchors: readonly Point[] = [];
  private hoveredCell = -1;
  private isEnabled = true;
  /** What is shown in the picture's place. */
  private sketched: SketchMessage | null = null;
  /** The ranges of a picture that came while a hand was on others. */
  private offered: Rect | null = null;
  /** Where the pointer rests on the frame, in pixels. */
  private pointer: Point | null = null;
  private size: Size = { width: 1, height: 1 };
  private hintTimer = 0;
  private staleTimer = 0;

  constructor(private readonly events: SliceEvents, signal: AbortSignal) {
    this.plot = new SlicePlot({ onLayout: (frame) => this.place(frame), onPainted: (painted, ms) => this.painted(painted, ms), onError: events.onError });
    this.handles = new Handles(
      "in the slice",
      {
        onDrag: (index, pixel, phase) => {
          events.onAnchor(index, this.inView(fromPixel(this.view, this.size, pixel)));
          if (phase === "end") {
            this.pointer = pixel;
          }
        },
        onRelease: () => this.letGo(),
        onStep: (index, dx, dy, isLarge) => this.step(index, dx, dy, isLarge),
      },
      signal,
    );
    const svg = svgElement("svg", { class: "sc-layer", "aria-hidden": "true" }, ...this.highlight.els);
    this.overlay.append(svg, this.handles.el, this.notice, this.hint);
    this.el.append(this.plot.el, this.overlay);
    this.camera = new Camera(
      this.overlay,
      {
        view: () => this.view,
        size: () => this.size,
        onView: (view) => {
          if (!this.isSketched) {
            this.view = view;
            events.onView(view);
          }
        },
        onEnd: () => this.letGo(),
        onIgnoredWheel: () => this.showHint(WHEEL_HINT),
        limits: () => this.picture?.limits ?? null,
        onStopped: (side) => this.showHint(STOP_HINTS[side]),
        isFocused: events.isFocused,
      },
      signal,
    );
    this.overlay.addEventListener("pointermove", (event) => this.hover(event), { signal });
    this.overlay.addEventListener("pointerleave", () => this.leave(), { signal });
    this.overlay.addEventListener("pointerdown", () => this.overlay.focus({ preventScroll: true }), { signal });
    this.sizes = new ResizeObserver(() => this.plot.resize(this.el.clientWidth));
    this.sizes.observe(this.el);
  }

  /** Builds Bokeh's views; `el` must be in the page. */
  async start(): Promise<void> {
    this.plot.resize(this.el.clientWidth);
    await this.plot.start();
    if (this.picture !== null) {
      this.plot.show(this.picture);
    }
    if (this.sketched !== null) {
      this.plot.sketch(this.sketched);
    }
  }

  get view(): Rect {
    return this.plot.view;
  }

  set view(view: Rect) {
    this.offered = null;
    this.plot.view = fitted(view, { width: 1, height: 1 });
    this.updateOverlay();
  }

  /** Shows the ranges of a picture, at the latest when a hand that is on the ranges or a handle lets go without more moves. */
  offer(view: Rect): void {
    if (this.isHeld) {
      this.offered = view;
    } else {
      this.view = view;
    }
  }

  /** What is on show is the hand's no longer, though a turn of the wheel may not be over. */
  release(): void {
    this.camera.release();
  }

  private get isHeld(): boolean {
    return this.camera.isActive || this.handles.draggedIndex !== null;
  }

  private letGo(): void {
    if (this.offered !== null && !this.isHeld) {
      this.view = this.offered;
    }
    this.look();
  }

  get draggedIndex(): number | null {
    return this.handles.draggedIndex;
  }

  show(picture: PictureMessage): void {
    this.picture = picture;
    this.setSketched(null);
    this.setHovered(-1);
    this.plot.show(picture);
  }

  /** Shows lines in place of the picture, until the next one. Places in their plane mean nothing to Python yet. */
  sketch(sketch: SketchMessage): void {
    this.setSketched(sketch);
    this.setHovered(-1);
    this.view = sketch.view;
    this.setAnchors(sketch.slice);
    this.plot.sketch(sketch);
  }

  /** Back to the picture before: the one that was sketched does not come. */
  endSketch(): void {
    if (this.isSketched) {
      this.setSketched(null);
      if (this.picture === null) {
        this.plot.sketch(null);
      } else {
        this.view = this.picture.view;
        this.plot.show(this.picture); // its colours may have changed since
      }
    }
  }

  get isSketched(): boolean {
    return this.sketched !== null;
  }

  private setSketched(sketch: SketchMessage | null): void {
    this.sketched = sketch;
    this.el.classList.toggle("sc-sketched", sketch !== null);
    this.handles.setEnabled(this.isEnabled && sketch === null);
  }

  recolour({ colours, piecePoints, pieceOffsets, pieceColours, legend }: ColoursMessage): void {
    this.amend({ colours, piecePoints, pieceOffsets, pieceColours, legend });
  }

  setLines({ lines, lineEnds }: LinesMessage): void {
    this.amend({ lines, lineEnds });
  }

  private amend(changed: Partial<PictureMessage>): void {
    if (this.picture !== null) {
      this.picture = { ...this.picture, ...changed };
      if (!this.isSketched) {
        this.plot.show(this.picture);
      }
    }
  }

  setAnchors(anchors: readonly Point[]): void {
    this.anchors = anchors;
    this.updateOverlay();
  }

  /** Lets handles follow a hand while the anchors of the plane on show are not known anew. */
  movePlaced(place: (index: number, u: Point) => Point): void {
    this.setAnchors(this.anchors.map((u, index) => place(index, u)));
  }

  /** Says with a turning wheel that the picture is not that of the handles, where that takes longer than a step of a drag:
   * every turn is a frame to compose. The status line says it at once. */
  setStale(isStale: boolean): void {
    if (isStale === (this.staleTimer !== 0)) {
      return;
    }
    clearTimeout(this.staleTimer);
    this.staleTimer = isStale ? window.setTimeout(() => this.el.classList.add("sc-stale"), STALE_MILLISECONDS) : 0;
    this.el.classList.remove("sc-stale");
  }

  /** Says over the plot what the picture waits for; "" when there is one. */
  setNotice(text: string): void {
    assign(this.notice, { textContent: text, hidden: text === "" });
  }

  setEnabled(isEnabled: boolean): void {
    this.isEnabled = isEnabled;
    this.handles.setEnabled(isEnabled && !this.isSketched);
  }

  zoom(factor: number): void {
    this.camera.zoom(factor);
  }

  setTheme(colours: ThemeColours): void {
    this.plot.recolour(colours);
  }

  destroy(): void {
    clearTimeout(this.hintTimer);
    clearTimeout(this.staleTimer);
    this.sizes.disconnect();
    this.handles.destroy();
    this.plot.destroy();
    this.el.remove();
  }

  private place({ left, top, width, height }: Frame): void {
    Object.assign(this.overlay.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    this.events.onFrame(left);
    this.size = { width: Math.max(1, width), height: Math.max(1, height) };
    this.updateOverlay();
  }

  private inView(u: Point): Point {
    return clamped(u, this.view);
  }

  private step(index: number, dx: number, dy: number, isLarge: boolean): void {
    const from = this.anchors[index];
    if (from !== undefined) {
      const [left, right] = this.view;
      const step = (right - left) * KEY_STEP * (isLarge ? LARGE_STEP : 1);
      this.events.onAnchor(index, this.inView([from[0] + dx * step, from[1] + dy * step]));
    }
  }

  private hover(event: PointerEvent): void {
    const box = this.overlay.getBoundingClientRect();
    this.pointer = [event.clientX - box.left, event.clientY - box.top];
    this.look();
  }

  /** What is under the pointer now; another picture has other cells there. */
  private look(): void {
    const { pointer } = this;
    const cell = pointer === null || this.isHeld ? -1 : this.plot.cellAt(pointer);
    this.setHovered(cell);
    const [left, right] = this.view;
    this.events.onHover(pointer === null || cell < 0 ? null : { u: fromPixel(this.view, this.size, pointer), cell, span: right - left });
  }

  /** The cell that holds the point last hovered, as Python finds it: the pixel there may show another. */
  setPointed(cell: number): void {
    this.setHovered(cell);
  }

  private painted(picture: PictureMessage, milliseconds: number): void {
    this.look();
    this.events.onPainted(picture, milliseconds);
  }

  private leave(): void {
    this.pointer = null;
    this.setHovered(-1);
    this.events.onHover(null);
  }

  private setHovered(cell: number): void {
    if (cell !== this.hoveredCell) {
      this.hoveredCell = cell;
      this.outlineHovered();
    }
  }

  private outlineHovered(): void {
    const { picture, hoveredCell } = this;
    const corners: Point[] = [];
    if (picture !== null && hoveredCell >= 0) {
      const { vertices, cellOffsets, cellVertices, centre, scale } = picture;
      for (let corner = cellOffsets[hoveredCell]; corner < cellOffsets[hoveredCell + 1]; corner++) {
        const v = 2 * cellVertices[corner];
        const u: Point = [centre[0] + scale * vertices[v], centre[1] + scale * vertices[v + 1]];
        corners.push(toPixel(this.view, this.size, u));
      }
    }
    this.highlight.update(corners, this.size);
    assign(this.overlay.dataset, { cell: String(hoveredCell) });
  }

  private updateOverlay(): void {
    this.overlay.dataset["view"] = JSON.stringify(this.view);
    const pixels = this.anchors.map((u) => toPixel(this.view, this.size, u));
    const [left, right] = this.view;
    const texts = this.anchors.map((u) => formatPlace(u, right - left));
    this.handles.update(pixels, this.size, texts);
    this.outlineHovered();
  }

  private showHint(text: string): void {
    assign(this.hint, { textContent: text });
    this.hint.classList.add("sc-shown");
    clearTimeout(this.hintTimer);
    this.hintTimer = window.setTimeout(() => this.hint.classList.remove("sc-shown"), HINT_MILLISECONDS);
  }
}
