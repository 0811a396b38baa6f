/**
 * Pan and zoom gestures on an element, as changes of a rectangle. The only file that knows d3-zoom.
 *
 * Each gesture starts from the rectangle that is on show, so others may set the rectangle between gestures. The wheel zooms
 * once the widget has the focus, or with Ctrl or Cmd; else it scrolls the page and `onIgnoredWheel` may give a hint.
 */

import { select } from "d3-selection";
import { zoom, type D3ZoomEvent } from "d3-zoom";
import { moved, transformed, zoomed, centre, type Rect, type Size } from "./geometry.ts";
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

const KEY_PAN = 1 / 12;
const KEY_ZOOM = 1.25;

export class Camera {
  private base: { view: Rect; k: number; x: number; y: number } | null = null;

  constructor(
    private readonly surface: HTMLElement,
    private readonly events: CameraEvents,
    signal: AbortSignal,
  ) {
    const behaviour = zoom<HTMLElement, unknown>()
      .scaleExtent([0, Infinity])
      .filter((event: MouseEvent | WheelEvent | TouchEvent) => this.isWanted(event))
      .wheelDelta(wheelDelta)
      .on("start", (event: D3ZoomEvent<HTMLElement, unknown>) => {
        this.base = { view: events.view(), ...plain(event.transform) };
      })
      .on("zoom", (event: D3ZoomEvent<HTMLElement, unknown>) => this.follow(plain(event.transform)))
      .on("end", () => {
        this.base = null;
        events.onEnd?.();
      });
    const selection = select<HTMLElement, unknown>(surface).call(behaviour).on("dblclick.zoom", null);
    surface.addEventListener("keydown", (event) => this.key(event), { signal });
    signal.addEventListener("abort", () => selection.on(".zoom", null), { once: true });
  }

  /** A gesture is going on. */
  get isActive(): boolean {
    return this.base !== null;
  }

  zoom(factor: number): void {
    const view = this.events.view();
    this.go(view, zoomed(view, factor, centre(view)));
  }

  /** Goes to a rectangle, or as far towards it as the limits allow; false if that was not all the way. */
  private go(from: Rect, to: Rect): boolean {
    const limits = this.events.limits?.() ?? null;
    const side = limits === null ? null : beyond(to, limits);
    if (limits === null || side === null) {
      this.events.onView(to);
      return true;
    }
    const view = stopped(from, to, limits);
    if (view !== from) {
      this.events.onView(view);
    }
    this.events.onStopped?.(side);
    return false;
  }

  private follow(transform: { k: number; x: number; y: number }): void {
    const { base, events } = this;
    if (base === null) {
      return;
    }
    const scale = transform.k / base.k;
    const view = transformed(base.view, events.size(), scale, transform.x - scale * base.x, transform.y - scale * base.y);
    if (!this.go(events.view(), view)) {
      // What the hand asked for beyond the limit is forgotten, or it would have to be taken back first.
      this.base = { view: events.view(), ...transform };
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

function plain({ k, x, y }: { k: number; x: number; y: number }): { k: number; x: number; y: number } {
  return { k, x, y };
}

/** Doublings per wheel event; a pinch on a trackpad arrives as a small delta with Ctrl and must count more. */
function wheelDelta(event: WheelEvent): number {
  const unit = event.deltaMode === 1 ? 0.05 : event.deltaMode === 2 ? 1 : 0.002;
  const isPinch = event.ctrlKey && event.deltaMode === 0 && Math.abs(event.deltaY) < 50;
  return -event.deltaY * unit * (isPinch ? 10 : 1);
}
