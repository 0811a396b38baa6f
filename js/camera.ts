/**
 * Pan and zoom gestures on an element, as changes of a rectangle. The only file that knows d3-zoom.
 *
 * Each step of a gesture changes the rectangle that is on show, so others may set it, and its size on the screen, meanwhile. What
 * d3-zoom adds up over the steps is not used: after many it has lost its digits. The wheel zooms once the widget has the focus, or with Ctrl or Cmd; else it scrolls the page and `onIgnoredWheel` may give a hint.
 */

import { select } from "d3-selection";
import { zoom, zoomIdentity, type D3ZoomEvent } from "d3-zoom";
import { moved, transformed, zoomed, centre, fromPixel, type Rect, type Size } from "./geometry.ts";
import { stopped, beyond, type Limits } from "./limits.ts";

export interface CameraEvents {
  /** The rectangle and size on show. */
  view(): Rect;
  size(): Size;
  /** The gesture or a key has made a new rectangle. */
  onView(view: Rect): void;
  /** The hand has let go. */
  onEnd?(): void;
  onIgnoredWheel(): void;
  /** How far a zoom may go; without limits it may go on. */
  limits?(): Limits | null;
  /** A zoom was stopped at a limit. */
  onStopped?(side: keyof Limits): void;
  isFocused(): boolean;
}

/** Of d3-zoom's own scale, which starts at 1 in every gesture. */
const MAX_SCALE = 2 ** 500;
const KEY_PAN = 1 / 12;
const KEY_ZOOM = 1.25;

export class Camera {
  /** What d3-zoom had after the last step of the gesture that goes on. */
  private last: Transform | null = null;
  /** Gestures that go on: a press may come before d3-zoom takes a turn of the wheel to be over. */
  private nGestures = 0;
  private isHeld = false;

  constructor(
    private readonly surface: HTMLElement,
    private readonly events: CameraEvents,
    signal: AbortSignal,
  ) {
    const behaviour = zoom<HTMLElement, unknown>()
      .scaleExtent([1 / MAX_SCALE, MAX_SCALE])
      .filter((event: MouseEvent | WheelEvent | TouchEvent) => this.isWanted(event))
      .wheelDelta(wheelDelta)
      .on("start", (event: D3ZoomEvent<HTMLElement, unknown>) => {
        this.last = plain(event.transform);
        this.nGestures += 1;
        this.isHeld = true;
      })
      .on("zoom", (event: D3ZoomEvent<HTMLElement, unknown>) => this.follow(plain(event.transform), event.sourceEvent))
      .on("end", () => {
        this.nGestures -= 1;
        if (this.nGestures > 0) {
          return;
        }
        this.last = null;
        this.isHeld = false;
        selection.property("__zoom", zoomIdentity);
        events.onEnd?.();
      });
    const selection = select<HTMLElement, unknown>(surface).call(behaviour).on("dblclick.zoom", null);
    surface.addEventListener("keydown", (event) => this.key(event), { signal });
    signal.addEventListener("abort", () => selection.on(".zoom", null), { once: true });
  }

  /** A gesture is going on, and the rectangle is the hand's. */
  get isActive(): boolean {
    return this.isHeld;
  }

  /** Gives the rectangle up before the gesture ends, until its next step: a turn of the wheel ends long after its last. */
  release(): void {
    this.isHeld = false;
  }

  zoom(factor: number): void {
    const view = this.events.view();
    this.go(view, zoomed(view, factor, centre(view)));
  }

  /** Goes to a rectangle, or as far towards it as the limits allow. */
  private go(from: Rect, to: Rect): void {
    const limits = this.events.limits?.() ?? null;
    const side = limits === null ? null : beyond(to, limits);
    if (limits === null || side === null) {
      this.events.onView(to);
      return;
    }
    const view = stopped(from, to, limits);
    if (view !== from) {
      this.events.onView(view);
    }
    this.events.onStopped?.(side);
  }

  private follow(transform: Transform, cause: unknown): void {
    const { last, events } = this;
    if (last === null) {
      return;
    }
    this.last = transform;
    this.isHeld = true;
    const [view, size, scale] = [events.view(), events.size(), transform.k / last.k];
    if (cause instanceof WheelEvent) {
      const box = this.surface.getBoundingClientRect();
      this.go(view, zoomed(view, scale, fromPixel(view, size, [cause.clientX - box.left, cause.clientY - box.top])));
    } else {
      this.go(view, transformed(view, size, scale, transform.x - scale * last.x, transform.y - scale * last.y));
    }
  }

  private isWanted(event: MouseEvent | WheelEvent | TouchEvent): boolean {
    if (event.target instanceof Element && event.target.closest(".sc-handle") !== null && event.type !== "wheel") {
      return false;
    }
    if (event.type === "wheel") {
      const isWanted = event.ctrlKey || event.metaKey || this.events.isFocused();
      if (!isWanted) {
        this.events.onIgnoredWheel();
      }
      return isWanted;
    }
    return !event.ctrlKey && (event as MouseEvent).button !== 2 && (event as MouseEvent).button !== 1;
  }

  private key(event: KeyboardEvent): void {
    if (event.target !== this.surface || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const view = this.events.view();
    const width = (view[1] - view[0]) * KEY_PAN * (event.shiftKey ? 3 : 1);
    const height = (view[3] - view[2]) * KEY_PAN * (event.shiftKey ? 3 : 1);
    const steps: Record<string, () => Rect> = {
      ArrowLeft: () => moved(view, -width, 0),
      ArrowRight: () => moved(view, width, 0),
      ArrowUp: () => moved(view, 0, height),
      ArrowDown: () => moved(view, 0, -height),
      "+": () => zoomed(view, KEY_ZOOM, centre(view)),
      "=": () => zoomed(view, KEY_ZOOM, centre(view)),
      "-": () => zoomed(view, 1 / KEY_ZOOM, centre(view)),
    };
    const step = steps[event.key];
    if (step !== undefined) {
      event.preventDefault();
      event.stopPropagation();
      this.go(view, step());
    }
  }
}

interface Transform {
  readonly k: number;
  readonly x: number;
  readonly y: number;
}

function plain({ k, x, y }: Transform): Transform {
  return { k, x, y };
}

/** Doublings per wheel event; a pinch on a trackpad arrives as a small delta with Ctrl and must count more. */
function wheelDelta(event: WheelEvent): number {
  const unit = event.deltaMode === 1 ? 0.05 : event.deltaMode === 2 ? 1 : 0.002;
  const isPinch = event.ctrlKey && event.deltaMode === 0 && Math.abs(event.deltaY) < 50;
  return -event.deltaY * unit * (isPinch ? 10 : 1);
}
