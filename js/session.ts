/**
 * One view of the widget: what Python says goes to the parts, what the hand does goes to Python.
 *
 * Knows the protocol's flow and owns the parts; knows neither anywidget's life cycle (`widget.ts`) nor BokehJS (`plot.ts`).
 */

import { Board } from "./board.ts";
import { CertificateBadge } from "./certificate.ts";
import { element, laidOut } from "./dom.ts";
import type { Point } from "./geometry.ts";
import { Inspections } from "./inspections.ts";
import { Inspector } from "./inspector.ts";
import { Legend } from "./legend.ts";
import type { WidgetModel } from "./model.ts";
import { decode, type AnchorsMessage, type AnchorWish, type Message, type PictureMessage, type SketchMessage } from "./protocol.ts";
import { NO_POLYGON } from "./raster.ts";
import { Scheduler } from "./scheduler.ts";
import { SlicePanel } from "./slice_panel.ts";
import { ErrorPanel, StatusLine } from "./status.ts";
import { statusView } from "./status_view.ts";
import { ThemeWatch } from "./theme.ts";
import { BoardBar, SliceBar } from "./toolbar.ts";
import { Tray } from "./tray.ts";
import { Wishes, type Where, type WishedRequest } from "./wishes.ts";

/** A hello that is not answered after this time is said again; then after twice as long, and so on. */
const HELLO_MILLISECONDS = 500;

export class Session {
  readonly el = element("div", { class: "splinecam-widget", "data-board": "waiting" });
  private readonly wishes = new Wishes();
  private readonly scheduler: Scheduler<WishedRequest>;
  private readonly inspections: Inspections;
  private readonly boardBar: BoardBar;
  private readonly board: Board;
  private readonly sliceBar: SliceBar;
  private readonly panels = element("div", { class: "sc-panels" });
  private readonly slicePlace = element("div", { class: "sc-slice-place" });
  private slice: SlicePanel | null = null;
  private readonly tray = new Tray();
  private readonly legend = new Legend();
  private readonly inspector = new Inspector();
  private readonly errors = new ErrorPanel();
  private readonly status = new StatusLine();
  private readonly certificate: CertificateBadge;
  private readonly theme: ThemeWatch;
  private anchors: AnchorsMessage | null = null;
  private picture: PictureMessage | null = null;
  private helloTimer = 0;
  private unpackMilliseconds = 0;
  /** The plane whose coordinates the plot shows. */
  private plane = 0;

  constructor(
    private readonly model: WidgetModel,
    private readonly viewId: string,
    private readonly signal: AbortSignal,
  ) {
    this.el.dataset["viewId"] = viewId;
    this.scheduler = new Scheduler(
      (sequence, wish) => this.request(sequence, wish),
      (milliseconds, callback) => window.setTimeout(() => this.guard(callback), milliseconds),
    );
    this.inspections = new Inspections((id, u) => model.send({ kind: "inspect", view_id: viewId, id, plane: this.plane, u }));
    const isFocused = (): boolean => this.el.matches(":focus-within");
    this.board = new Board(
      {
        onAnchor: (index, place, wish) => this.guard(() => this.moveAnchor(index, wish, "board", place)),
        onError: (error) => this.fail(error),
        isFocused,
      },
      signal,
    );
    this.boardBar = new BoardBar(
      {
        onZoom: (factor) => this.board.zoom(factor),
        onReset: () => this.board.reset(),
        onBlend: (isOn) => {
          this.board.isBlending = isOn;
        },
      },
      signal,
    );
    this.sliceBar = new SliceBar(
      {
        onZoom: (factor) => this.slice?.zoom(factor),
        onReset: () => this.guard(() => this.resetRange()),
        onColorBy: (value) => {
          model.set("color_by", value);
          model.save_changes();
        },
        onLayer: (layer) => {
          model.set("layer", layer);
          model.save_changes();
        },
      },
      signal,
    );
    this.certificate = new CertificateBadge(`sc-certificate-${viewId}`, signal);
    this.theme = new ThemeWatch(this.el, () => this.applyTheme(), signal);
    this.compose();
  }

  /** Begins to listen and to show, once `el` is laid out in the page. */
  async start(): Promise<void> {
    await laidOut(this.el, this.signal);
    this.listen("change:status", () => this.updateStatus());
    this.listen("change:error", () => this.updateError());
    this.listen("change:color_by", () => this.updateColourings());
    this.listen("change:_colourings", () => this.updateColourings());
    this.listen("change:layer", () => this.updateLayers());
    this.listen("change:_layers", () => this.updateLayers());
    this.listen("msg:custom", (content: { kind: string }, buffers: DataView[]) => this.receive(content, buffers));
    this.guard(() => {
      this.theme.update();
      this.updateColourings();
      this.updateLayers();
      this.updateError();
      this.updateStatus();
      this.buildSlice();
      this.greet(HELLO_MILLISECONDS);
    });
  }

  /**
   * Says hello until the board comes. While cells run, the first message of a view may lie in the queue of the kernel's main
   * thread, because the thread for its messages is not there yet; the next one takes that.
   */
  private greet(milliseconds: number): void {
    this.model.send({ kind: "hello", view_id: this.viewId });
    this.helloTimer = window.setTimeout(() => this.greet(2 * milliseconds), milliseconds);
  }

  destroy(): void {
    clearTimeout(this.helloTimer);
    this.inspections.destroy();
    for (const part of [this.board, this.boardBar, this.sliceBar, this.slice, this.tray, this.legend, this.inspector, this.errors, this.status, this.certificate]) {
      part?.destroy();
    }
    this.el.remove();
  }

  private compose(): void {
    const boardPanel = element("div", { class: "sc-panel sc-board-panel" }, this.boardBar.el, this.board.el);
    const slicePanel = element("div", { class: "sc-panel sc-slice-panel" }, this.sliceBar.el, this.slicePlace, this.legend.el);
    const side = element("div", { class: "sc-side" }, this.tray.el);
    this.panels.append(boardPanel, slicePanel, side, this.inspector.el);
    const foot = element("div", { class: "sc-foot" }, this.status.el, this.certificate.el, this.certificate.panel);
    this.el.append(this.panels, this.errors.el, foot);
  }

  private buildSlice(): void {
    const slice = new SlicePanel(
      {
        onAnchor: (index, u) => this.guard(() => this.moveAnchor(index, { kind: "slice", u }, "slice", u)),
        onView: (view) => this.guard(() => this.wishRange(view)),
        onHover: (hover) => this.guard(() => this.hover(hover)),
        onPainted: (picture, milliseconds) => this.announce(picture, milliseconds),
        onFrame: (left) => this.legend.el.style.setProperty("--sc-frame-left", `${left}px`),
        onError: (error) => this.fail(error),
        isFocused: () => this.el.matches(":focus-within"),
      },
      this.signal,
    );
    this.slice = slice;
    this.slicePlace.replaceChildren(slice.el);
    this.updateHandles();
    this.updateStatus();
    this.applyTheme();
    slice.start().catch((error: unknown) => this.fail(error));
  }

  // -- from Python -----------------------------------------------------------------------------------------------

  private receive(content: { kind: string }, buffers: DataView[]): void {
    const began = performance.now();
    const message: Message = decode(content, buffers);
    this.unpackMilliseconds = performance.now() - began;
    switch (message.kind) {
      case "board":
        clearTimeout(this.helloTimer);
        this.el.dataset["board"] = message.mode;
        this.boardBar.update(message.mode, message.n_images);
        this.board.load(message).catch((error: unknown) => this.fail(error));
        break;
      case "anchors":
        this.receiveAnchors(message);
        break;
      case "picture":
        this.receivePicture(message);
        break;
      case "sketch":
        this.receiveSketch(message);
        break;
      case "certificate":
        if (message.number === this.picture?.number) {
          this.certificate.update(message);
          this.updateStatus();
        }
        break;
      case "colours":
        this.legend.update(message.legend);
        this.slice?.recolour(message);
        break;
      case "lines":
        if (message.number === this.picture?.number) {
          const { lines, lineEnds } = message;
          this.picture = { ...this.picture, lines, lineEnds };
          if (this.slice?.isSketched !== true) {
            this.legend.updateLines(lines);
          }
          this.board.setPicture(this.picture);
          this.slice?.setLines(message);
        }
        break;
      case "failed":
        this.errors.update("request", message.title, message.message);
        this.endSketch();
        this.settle(message.sequence, message.view_id);
        if (message.view_id === this.viewId) {
          this.wishes.confirm(message.sequence, this.heldIndex());
        }
        this.updateHandles();
        this.updateStatus();
        break;
      case "inspection":
        if (message.view_id === this.viewId) {
          const u = this.inspections.answered(message.id);
          // Of another picture than the one on show: the cell is asked for again when that is painted.
          if (u !== null && message.number === this.picture?.number && this.inspector.update(message, u)) {
            this.slice?.setPointed(message.cell ?? NO_POLYGON);
          }
        }
        break;
    }
  }

  /** They come when the kernel has computed, and are shown with the picture that follows: one frame for both. */
  private receiveAnchors(anchors: AnchorsMessage): void {
    this.anchors = anchors;
    if (anchors.view_id === this.viewId) {
      this.wishes.confirm(anchors.sequence, this.heldIndex());
      this.scheduler.computed(anchors.sequence);
    }
  }

  private receivePicture(picture: PictureMessage): void {
    const isNewPlane = this.picture === null || picture.plane !== this.plane;
    // The same picture comes again when another view says hello; its certificate follows it.
    this.certificate.expire();
    this.picture = picture;
    this.plane = picture.plane;
    this.settle(picture.sequence, picture.view_id);
    this.errors.update("request", "", "");
    this.legend.update(picture.legend);
    this.legend.updateLines(picture.lines);
    this.board.setPicture(picture);
    if (this.anchors !== null) {
      this.tray.update(this.anchors);
    }
    this.inspector.expire();
    if (this.slice !== null) {
      // Ranges under the hand, or asked for and not yet answered, belong to the user; but not across planes.
      if (isNewPlane) {
        this.slice.view = picture.view;
      } else if (!this.wishes.holdsRange) {
        this.slice.offer(picture.view);
      }
      this.slice.show(picture);
    }
    this.updateHandles();
    this.updateStatus();
  }

  /** The picture of another plane takes long: what is known of it takes the place of the old one, until it comes. */
  private receiveSketch(sketch: SketchMessage): void {
    if (sketch.plane > this.plane) {
      this.inspector.expire();
      this.slice?.sketch(sketch);
      this.legend.updateLines(null);
      this.updateStatus();
    }
  }

  /** The picture before is on show again. */
  private endSketch(): void {
    this.slice?.endSketch();
    this.legend.updateLines(this.picture?.lines ?? null);
  }

  /** An answer to one of this view's requests, or a picture that Python made of its own accord. */
  private settle(sequence: number, viewId: string | null): void {
    const isNewest = viewId === this.viewId ? this.scheduler.answered(sequence) : this.scheduler.isIdle;
    if (isNewest) {
      this.wishes.settle();
    }
  }

  // -- from the hand ---------------------------------------------------------------------------------------------

  private moveAnchor(index: number, wish: AnchorWish, where: Where, at: Point): void {
    this.wishes.anchor(index, wish, where, at, this.plane);
    this.updateHandles();
    this.wish();
  }

  private wishRange(view: Parameters<Wishes["range"]>[0]): void {
    this.wishes.range(view, this.plane);
    this.wish();
  }

  private resetRange(): void {
    this.slice?.release();
    this.wishRange(null);
  }

  private wish(): void {
    this.scheduler.wish(this.wishes.request(this.plane));
    this.updateStatus();
  }

  private request(sequence: number, { plane, anchors, domain }: WishedRequest): void {
    this.wishes.sent(sequence);
    this.model.set("_request", { sequence, view_id: this.viewId, plane, anchors, domain });
    this.model.save_changes();
  }

  private hover(hover: { readonly u: Point; readonly cell: number; readonly span: number } | null): void {
    if (hover === null) {
      this.inspections.leave();
      this.inspector.clear();
    } else {
      this.inspector.point(hover.cell, hover.u, hover.span);
      this.inspections.ask(hover.u);
    }
  }

  private heldIndex(): number | null {
    return this.board.draggedIndex ?? this.slice?.draggedIndex ?? null;
  }

  // -- showing ---------------------------------------------------------------------------------------------------

  private updateHandles(): void {
    const { anchors } = this;
    if (anchors === null) {
      return;
    }
    this.board.setAnchors(anchors.board.map((at, index) => this.wishes.place(index, "board", at)));
    // Anchors of another plane have no place in the picture on show; they come with theirs.
    if (this.slice?.isSketched === true) {
      return;
    }
    if (anchors.plane === this.plane) {
      this.slice?.setAnchors(anchors.slice.map((u, index) => this.wishes.place(index, "slice", u)));
    } else {
      this.slice?.movePlaced((index, u) => this.wishes.place(index, "slice", u));
    }
  }

  private updateStatus(): void {
    const view = statusView(this.model.get("status"), this.scheduler.isIdle, this.picture, this.certificate.state);
    this.status.update(view);
    const isStale = view.state === "computing" || view.state === "compiling";
    this.slice?.setStale(isStale && this.picture !== null);
    const isSketched = this.slice?.isSketched === true;
    const isEmpty = this.picture === null && !isSketched;
    // Where nothing could be drawn yet there is nothing to show but why.
    this.panels.hidden = view.state === "refused" || (isEmpty && view.state === "error");
    this.slice?.setNotice(isEmpty && isStale ? view.text : "");
    this.certificate.setAside(view.state === "error" || view.state === "refused" || isSketched);
    const isClosed = view.state === "closed";
    this.board.setEnabled(!isClosed);
    this.slice?.setEnabled(!isClosed);
    if (isClosed) {
      this.endSketch();
      this.certificate.close();
    }
  }

  private updateColourings(): void {
    this.sliceBar.update(this.model.get("_colourings"), this.model.get("color_by"));
  }

  private updateLayers(): void {
    this.sliceBar.updateLayers(this.model.get("_layers"), this.model.get("layer"));
  }

  private updateError(): void {
    this.errors.update("kernel", "", this.model.get("error") ?? "");
  }

  private applyTheme(): void {
    this.slice?.setTheme(this.theme.colours());
    this.board.repaint();
  }

  private announce({ sequence, view_id, n_cells, timing }: PictureMessage, paint: number): void {
    const detail = { sequence, view_id, n_cells, timing, paint_ms: paint, unpack_ms: this.unpackMilliseconds };
    this.el.dispatchEvent(new CustomEvent("splinecam:painted", { detail, bubbles: true, composed: true }));
  }

  // -- errors ----------------------------------------------------------------------------------------------------

  private listen<A extends unknown[]>(name: string, callback: (...args: A) => void): void {
    const guarded = (...args: unknown[]): void => this.guard(() => callback(...(args as A)));
    this.model.on(name, guarded);
    this.signal.addEventListener("abort", () => this.model.off(name, guarded), { once: true });
  }

  /** Runs a reaction; what goes wrong in it is shown, not lost. */
  private guard(reaction: () => void): void {
    try {
      reaction();
    } catch (error) {
      this.fail(error);
    }
  }

  private fail(error: unknown): void {
    if (!this.signal.aborted) {
      console.error(error);
      this.errors.update("widget", "The widget itself failed", error instanceof Error ? error.message : String(error));
    }
  }
}
