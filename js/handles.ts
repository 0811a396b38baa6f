/**
 * The three draggable handles over the board or the plot, and the triangle between them.
 *
 * Knows pixels only. The owner maps them, decides what a move means and calls `update` with the places to show. A handle
 * that is dragged follows the pointer within the same event.
 */

import { ANCHORS, anchorMark } from "./anchors.ts";
import { assign, element, setAttribute, svgElement } from "./dom.ts";
import { clamped, contains, type Point, type Size } from "./geometry.ts";
import { Outline } from "./outline.ts";

export type DragPhase = "move" | "end";

/** A press that moves the pointer less is no drag: a click on a handle leaves its anchor as it is. */
const SLACK_PIXELS = 2;

export interface HandleEvents {
  /** The pointer has taken handle `index` to `pixel`. */
  onDrag(index: number, pixel: Point, phase: DragPhase, isShifted: boolean): void;
  /** The pointer has let go of a handle, moved or not. */
  onRelease?(): void;
  /** An arrow key asks for a step; `dx`, `dy` are −1, 0 or 1, y upwards. */
  onStep(index: number, dx: number, dy: number, isLarge: boolean): void;
}

const ARROWS: Readonly<Record<string, Point>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, 1],
  ArrowDown: [0, -1],
};

/** How far inside the frame's edge a handle waits whose place is outside, in pixels. */
const INSET = 16;

export class Handles {
  readonly el = element("div", { class: "sc-handles" });
  private readonly handles: HTMLDivElement[];
  private readonly triangle = new Outline("sc-triangle");
  private dragged: { readonly index: number; readonly offset: Point; readonly from: Point; hasMoved: boolean } | null = null;

  /** `place` completes the labels: "on the board", "in the slice". */
  constructor(place: string, private readonly events: HandleEvents, private readonly signal: AbortSignal) {
    this.handles = ANCHORS.map(({ letter, shape }, index) => this.handle(index, `Anchor ${letter} ${place}`, letter, shape));
    this.el.append(svgElement("svg", { class: "sc-layer", "aria-hidden": "true" }, ...this.triangle.els), ...this.handles);
  }

  /** The handle in the hand, or null. */
  get draggedIndex(): number | null {
    return this.dragged?.index ?? null;
  }

  /**
   * Shows the handles at pixels of a frame of `size` (null hides one), with a text of each place for screen readers. A handle
   * whose place is outside waits at the frame's edge, from where it can be fetched; so do those that are docked. One with a
   * hint is hollow: its place is about where it belongs.
   */
  update(
    pixels: readonly (Point | null)[],
    size: Size,
    texts: readonly string[],
    isDocked: readonly boolean[] = [],
    hints: readonly string[] = [],
  ): void {
    pixels.forEach((pixel, index) => {
      const handle = this.handles[index];
      assign(handle, { hidden: pixel === null });
      setAttribute(handle, "aria-valuetext", texts[index] ?? "");
      assign(handle, { title: hints[index] ?? "" });
      handle.classList.toggle("sc-hollow", (hints[index] ?? "") !== "");
      if (pixel !== null) {
        const isOutside = !contains([-1, size.width + 1, -1, size.height + 1], pixel);
        const [x, y] = isOutside ? clamped(pixel, [INSET, size.width - INSET, INSET, size.height - INSET]) : pixel;
        handle.classList.toggle("sc-docked", isOutside || (isDocked[index] ?? false));
        assign(handle.style, { transform: `translate(${x.toFixed(2)}px, ${y.toFixed(2)}px)` });
      }
    });
    const isWhole = pixels.every((pixel, index) => pixel !== null && !(isDocked[index] ?? false));
    this.triangle.update(isWhole ? (pixels as readonly Point[]) : [], size);
  }

  setEnabled(isEnabled: boolean): void {
    this.handles.forEach((handle) => {
      setAttribute(handle, "aria-disabled", String(!isEnabled));
      assign(handle, { tabIndex: isEnabled ? 0 : -1 });
    });
  }

  destroy(): void {
    this.el.remove();
  }

  private handle(index: number, label: string, letter: string, shape: string): HTMLDivElement {
    const handle = element(
      "div",
      {
        class: `sc-handle sc-handle-${shape}`,
        role: "slider",
        tabindex: 0,
        "aria-label": label,
        "aria-roledescription": "2-D handle",
        "aria-valuenow": 0,
        "aria-valuetext": "",
        "data-anchor": letter,
      },
      anchorMark(index),
    );
    handle.hidden = true;
    const { signal } = this;
    handle.addEventListener("pointerdown", (event) => this.take(event, handle, index), { signal });
    handle.addEventListener("pointermove", (event) => this.carry(event, handle, index, "move"), { signal });
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"] as const) {
      handle.addEventListener(name, (event) => this.carry(event, handle, index, "end"), { signal });
    }
    for (const name of ["mousedown", "touchstart", "dblclick", "click"] as const) {
      // Below the handles lies a surface that pans.
      handle.addEventListener(name, (event) => event.stopPropagation(), { signal, passive: true });
    }
    handle.addEventListener("keydown", (event) => this.step(event, handle, index), { signal });
    return handle;
  }

  private take(event: PointerEvent, handle: HTMLElement, index: number): void {
    if (event.button !== 0 || handle.getAttribute("aria-disabled") === "true") {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    handle.setPointerCapture(event.pointerId);
    handle.focus({ preventScroll: true });
    handle.classList.add("sc-dragged");
    const box = handle.getBoundingClientRect();
    // The point of a handle is its centre; where in it the pointer took hold is kept during the drag.
    this.dragged = {
      index,
      offset: [event.clientX - (box.left + box.width / 2), event.clientY - (box.top + box.height / 2)],
      from: [event.clientX, event.clientY],
      hasMoved: false,
    };
  }

  private carry(event: PointerEvent, handle: HTMLElement, index: number, phase: DragPhase): void {
    if (this.dragged?.index !== index) {
      return;
    }
    event.stopPropagation();
    const { dragged } = this;
    dragged.hasMoved ||= Math.hypot(event.clientX - dragged.from[0], event.clientY - dragged.from[1]) > SLACK_PIXELS;
    const isPlaced = event.type === "pointermove" || event.type === "pointerup";
    const pixel = !isPlaced || !dragged.hasMoved ? null : this.pixel(event);
    if (phase === "end") {
      this.dragged = null;
      handle.classList.remove("sc-dragged");
    }
    if (pixel !== null) {
      this.events.onDrag(index, pixel, phase, event.shiftKey);
    }
    if (phase === "end") {
      this.events.onRelease?.();
    }
  }

  private pixel(event: PointerEvent): Point {
    const box = this.el.getBoundingClientRect();
    const [x, y] = this.dragged?.offset ?? [0, 0];
    return [event.clientX - x - box.left, event.clientY - y - box.top];
  }

  private step(event: KeyboardEvent, handle: HTMLElement, index: number): void {
    const arrow = ARROWS[event.key];
    if (arrow === undefined || event.altKey || event.ctrlKey || event.metaKey || handle.getAttribute("aria-disabled") === "true") {
      return;
    }
    // The notebook must not move its selection as well.
    event.preventDefault();
    event.stopPropagation();
    this.events.onStep(index, arrow[0], arrow[1], event.shiftKey);
  }
}
