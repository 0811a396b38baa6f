/**
 * The board: the training images as a map, or the input plane of a model with two inputs, with three handles.
 *
 * Knows the `board` message, pixels and what a handle's place on the board means (an image, a blend, a point); what becomes of
 * that is the session's business. `board_painting.ts` draws the canvas.
 */

import { ANCHORS } from "./anchors.ts";
import { BoardPainting } from "./board_painting.ts";
import { Camera } from "./camera.ts";
import { assign, element } from "./dom.ts";
import { formatPlace } from "./format.ts";
import { bounds, clamped, fitted, fromPixel, padded, toPixel, type Point, type Rect, type Size } from "./geometry.ts";
import { Handles, type DragPhase } from "./handles.ts";
import { ImageMap } from "./image_map.ts";
import type { AnchorWish, BoardMessage, PictureMessage } from "./protocol.ts";

export interface BoardEvents {
  /** Handle `index` is at `place` and means `wish`. */
  onAnchor(index: number, place: Point, wish: AnchorWish): void;
  isFocused(): boolean;
  onError(error: unknown): void;
}

const SMALL_STEP = 1 / 50;
const LARGE_STEP = 1 / 10;
/** Shift with an arrow looks for an image at least this share of the view away. */
const LEAP = 1 / 8;
const DOCK_SPACING = 36;
const HINT_MILLISECONDS = 1600;

export class Board {
  readonly el = element("div", { class: "sc-board" });
  private readonly surface = element("div", { class: "sc-board-surface", tabindex: 0, role: "group", "aria-label": "Board of images" });
  private readonly caption = element("div", { class: "sc-board-caption", "aria-hidden": "true" });
  private readonly hint = element("div", { class: "sc-hint", "aria-hidden": "true" }, "Click the board or hold Ctrl to zoom with the wheel");
  private readonly painting = new BoardPainting();
  private readonly handles: Handles;
  private readonly camera: Camera;
  private readonly sizes: ResizeObserver;
  private map = new ImageMap(new Float32Array(0));
  private message: BoardMessage | null = null;
  private home: Rect = [-1, 1, -1, 1];
  private shown: Rect = [-1, 1, -1, 1];
  private size: Size = { width: 1, height: 1 };
  private places: readonly (Point | null)[] = [null, null, null];
  private hasMoved = false;
  private frameRequest = 0;
  private hintTimer = 0;
  private isDestroyed = false;
  isBlending = false;

  constructor(private readonly events: BoardEvents, signal: AbortSignal) {
    this.handles = new Handles(
      "on the board",
      {
        onDrag: (index, pixel, phase, isShifted) => this.drag(index, pixel, phase, isShifted),
        onStep: (index, dx, dy, isLarge) => this.step(index, dx, dy, isLarge),
      },
      signal,
    );
    this.surface.append(this.painting.el, this.handles.el, this.caption, this.hint);
    this.caption.hidden = true;
    this.el.append(this.surface);
    this.camera = new Camera(
      this.surface,
      {
        view: () => this.shown,
        size: () => this.size,
        onView: (view) => {
          this.hasMoved = true;
          this.setView(view);
        },
        onIgnoredWheel: () => this.showHint(),
        isFocused: events.isFocused,
      },
      signal,
    );
    this.surface.addEventListener("pointerdown", () => this.surface.focus({ preventScroll: true }), { signal });
    this.surface.addEventListener("pointermove", (event) => this.hover(event), { signal });
    this.surface.addEventListener("pointerleave", () => this.nameImage(-1), { signal });
    this.sizes = new ResizeObserver(() => this.resize());
    this.sizes.observe(this.surface);
  }

  get draggedIndex(): number | null {
    return this.handles.draggedIndex;
  }

  /** Takes the board; decodes its image in the background. */
  async load(message: BoardMessage): Promise<void> {
    this.message = message;
    this.map = new ImageMap(message.positions);
    const label = message.mode === "plane" ? "Board: input plane" : "Board of images";
    this.surface.setAttribute("aria-label", label);
    if (message.mode === "plane") {
      this.home = message.extent ?? [-1, 1, -1, 1];
    } else {
      const [dx, dy] = message.cell ?? [0, 0];
      this.home = padded(bounds(message.positions), dx, dy);
    }
    if (!this.hasMoved) {
      this.shown = fitted(this.home, this.size);
    }
    const image = message.image === null ? null : await createImageBitmap(new Blob([message.image], { type: "image/png" }));
    if (this.isDestroyed || this.message !== message) {
      image?.close();
      return;
    }
    this.painting.setBoard(message, image);
    this.refresh();
  }

  /** The picture whose cells are drawn over an input plane. */
  setPicture(picture: PictureMessage): void {
    this.painting.setPicture(picture);
    if (this.message?.mode === "plane") {
      this.refresh();
    }
  }

  /** The handles' places in board coordinates; null: not on the board. */
  setAnchors(places: readonly (Point | null)[]): void {
    this.places = places;
    this.updateHandles();
  }

  setEnabled(isEnabled: boolean): void {
    this.handles.setEnabled(isEnabled);
  }

  zoom(factor: number): void {
    this.camera.zoom(factor);
  }

  reset(): void {
    this.hasMoved = false;
    this.setView(fitted(this.home, this.size));
  }

  repaint(): void {
    this.refresh();
  }

  destroy(): void {
    this.isDestroyed = true;
    cancelAnimationFrame(this.frameRequest);
    clearTimeout(this.hintTimer);
    this.sizes.disconnect();
    this.painting.destroy();
    this.handles.destroy();
    this.el.remove();
  }

  private setView(view: Rect): void {
    this.shown = view;
    this.updateHandles();
    this.refresh();
  }

  private resize(): void {
    this.size = { width: Math.max(1, this.surface.clientWidth), height: Math.max(1, this.surface.clientHeight) };
    this.setView(fitted(this.hasMoved ? this.shown : this.home, this.size));
  }

  private drag(index: number, pixel: Point, phase: DragPhase, isShifted: boolean): void {
    const place = fromPixel(this.shown, this.size, clamped(pixel, [0, this.size.width, 0, this.size.height]));
    this.go(index, place, phase, this.isBlending || isShifted);
  }

  /** Moves handle `index` to a place: under the hand it stays where the hand is, at rest it lies where its meaning is. */
  private go(index: number, place: Point, phase: DragPhase, isBlending: boolean): void {
    const { wish, at } = this.meaning(place, isBlending);
    const isMoving = phase !== "end";
    this.painting.setTarget(isMoving && wish.kind === "image" ? wish.index : -1);
    this.nameImage(isMoving && wish.kind === "image" ? wish.index : -1);
    this.refresh();
    this.events.onAnchor(index, isMoving ? place : at, wish);
  }

  private meaning(place: Point, isBlending: boolean): { wish: AnchorWish; at: Point } {
    if (this.message?.mode === "plane") {
      return { wish: { kind: "point", x: place }, at: place };
    }
    const blend = isBlending ? this.map.blend(place) : null;
    if (blend !== null) {
      return { wish: { kind: "blend", ...blend }, at: place };
    }
    const index = this.map.nearest(place);
    return index < 0 ? { wish: { kind: "keep" }, at: place } : { wish: { kind: "image", index }, at: this.map.position(index) };
  }

  private step(index: number, dx: number, dy: number, isLarge: boolean): void {
    const from = this.places[index] ?? fromPixel(this.shown, this.size, this.dock(index));
    const width = this.shown[1] - this.shown[0];
    if (this.message?.mode === "images" && !this.isBlending) {
      const image = this.map.neighbour(this.map.nearest(from), dx, dy, isLarge ? width * LEAP : 0);
      this.go(index, this.map.position(image), "end", false);
    } else {
      const step = width * (isLarge ? LARGE_STEP : SMALL_STEP);
      this.go(index, clamped([from[0] + dx * step, from[1] + dy * step], this.home), "end", this.isBlending);
    }
  }

  /** Where a handle waits that has no place on the board. */
  private dock(index: number): Point {
    return [24 + index * DOCK_SPACING, this.size.height - 24];
  }

  private updateHandles(): void {
    const pixels = this.places.map((place, index) => (place === null ? this.dock(index) : toPixel(this.shown, this.size, place)));
    const isDocked = this.places.map((place) => place === null);
    const isBetween = this.places.map(
      (place, index) => this.message?.mode === "images" && place !== null && index !== this.draggedIndex && this.imageAt(place) < 0,
    );
    const texts = this.places.map((place, index) =>
      place === null ? "not on the board" : `${isBetween[index] ? "not an image, at " : ""}${this.nameOf(place)}`,
    );
    const hints = isBetween.map((is, index) => (is ? `Anchor ${ANCHORS[index].letter} is not an image; it stands among images like it` : ""));
    this.handles.update(this.message === null ? [null, null, null] : pixels, this.size, texts, isDocked, hints);
  }

  /** The image whose middle is exactly there, −1 for none. */
  private imageAt(place: Point): number {
    const index = this.message?.mode === "images" ? this.map.nearest(place) : -1;
    const [x, y] = index < 0 ? [NaN, NaN] : this.map.position(index);
    return x === place[0] && y === place[1] ? index : -1;
  }

  /** The image that is exactly there, as the tray calls it, or the coordinates. */
  private nameOf(place: Point): string {
    const index = this.imageAt(place);
    if (index < 0) {
      return formatPlace(place, this.shown[1] - this.shown[0]);
    }
    const label = this.message?.labels[index] ?? -1;
    return label < 0 ? `image ${index}` : `image ${index}, label ${label}`;
  }

  private hover(event: PointerEvent): void {
    if (this.message?.mode !== "images" || this.handles.draggedIndex !== null) {
      return;
    }
    const box = this.surface.getBoundingClientRect();
    const place = fromPixel(this.shown, this.size, [event.clientX - box.left, event.clientY - box.top]);
    const index = this.map.nearest(place);
    const [dx, dy] = this.message.cell ?? [0, 0];
    const at = index < 0 ? null : this.map.position(index);
    const isOver = at !== null && Math.abs(place[0] - at[0]) <= dx && Math.abs(place[1] - at[1]) <= dy;
    this.nameImage(isOver ? index : -1);
  }

  private nameImage(index: number): void {
    const label = this.message?.labels[index] ?? -1;
    const name = label < 0 ? "" : ` · ${this.message?.class_names?.[label] ?? `label ${label}`}`;
    assign(this.caption, { textContent: index < 0 ? "" : `Image ${index}${name}`, hidden: index < 0 });
  }

  private showHint(): void {
    this.hint.classList.add("sc-shown");
    clearTimeout(this.hintTimer);
    this.hintTimer = window.setTimeout(() => this.hint.classList.remove("sc-shown"), HINT_MILLISECONDS);
  }

  /** Paints in the next frame, once. */
  private refresh(): void {
    if (this.frameRequest === 0) {
      this.frameRequest = requestAnimationFrame(() => {
        this.frameRequest = 0;
        try {
          this.painting.paint(this.shown, this.size);
        } catch (error) {
          this.events.onError(error);
        }
      });
    }
  }
}
