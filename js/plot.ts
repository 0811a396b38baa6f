/**
 * The slice plot on the page. With `figure.ts` and `cells_renderer.ts` the only file that knows BokehJS.
 *
 * Owns the document of the figure and its views: its ranges, size, colours and the cells renderer. Gestures, handles and
 * highlights are drawn over it by `slice_panel.ts`.
 */

import { Document, documents } from "@bokeh/bokehjs/build/js/lib/document";
import { add_document_standalone } from "@bokeh/bokehjs/build/js/lib/embed/standalone";
import type { ViewManager } from "@bokeh/bokehjs/build/js/lib/core/view_manager";
import type { Plot, PlotView } from "@bokeh/bokehjs/build/js/lib/models/plots/plot";
import { logger } from "@bokeh/bokehjs/build/js/lib/core/logging";
import { ConvexCells, type ConvexCellsView } from "./cells_renderer.ts";
import { element } from "./dom.ts";
import { BORDER, LabelledAxis, slicePlot } from "./figure.ts";
import type { Point, Rect } from "./geometry.ts";
import type { PictureMessage, SketchMessage } from "./protocol.ts";
import type { ThemeColours } from "./theme.ts";

/** Place of the frame inside the figure, in CSS pixels. */
export interface Frame {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const MIN_SIDE = 120;
const MAX_TICKS = 6;
const MIN_TICKS = 2;
/** Pixels of the frame for each tick. */
const TICK_ROOM = 60;

export interface PlotEvents {
  /** The frame has a new place or size. */
  onLayout(frame: Frame): void;
  /** The cells of this picture have been painted. */
  onPainted(picture: PictureMessage, milliseconds: number): void;
  onError(error: unknown): void;
}

export class SlicePlot {
  readonly el = element("div", { class: "sc-figure" });
  private readonly document = new Document();
  private readonly x = new LabelledAxis("u₀");
  private readonly y = new LabelledAxis("u₁");
  private readonly cells = new ConvexCells({ name: "cells", level: "glyph" });
  private readonly plot: Plot;
  private views: ViewManager | null = null;
  private plotView: PlotView | null = null;
  private cellsView: ConvexCellsView | null = null;
  private frame: Frame = { left: 0, top: 0, width: 0, height: 0 };
  private isDestroyed = false;

  /** `start` builds the views once `el` is in the page. */
  constructor(private readonly events: PlotEvents) {
    // Bokeh's set_log_level would itself write to the console.
    logger.set_level("error");
    this.plot = slicePlot(this.x, this.y, this.cells);
    this.document.add_root(this.plot);
  }

  async start(): Promise<void> {
    this.views = await add_document_standalone(this.document, this.el);
    if (this.isDestroyed) {
      this.removeViews();
      return;
    }
    this.plotView = this.views.get_one(this.plot) as PlotView;
    this.cellsView = this.views.get_one(this.cells) as ConvexCellsView;
    this.cellsView.onPainted = (picture, milliseconds) => this.events.onPainted(picture, milliseconds);
    this.cellsView.onError = (error) => this.events.onError(error);
    this.plotView.repainted.connect(this.noticeLayout);
    this.noticeLayout();
  }

  /** The ranges, `[left, right, bottom, top]`. */
  get view(): Rect {
    return [...this.x.view, ...this.y.view];
  }

  set view([left, right, bottom, top]: Rect) {
    this.x.show(left, right);
    this.y.show(bottom, top);
  }

  show(picture: PictureMessage): void {
    this.cellsView?.show(picture);
  }

  sketch(sketch: SketchMessage | null): void {
    this.cellsView?.sketch(sketch);
  }

  /** The cell at a point of the frame, −1 outside all. */
  cellAt(point: Point): number {
    return this.cellsView?.cellAt(point) ?? -1;
  }

  /** Makes the frame as large a square as fits the width beside the axis. */
  resize(width: number): void {
    const side = Math.max(MIN_SIDE, Math.floor(width - BORDER.left - BORDER.right));
    if (side !== this.plot.frame_width) {
      this.plot.setv({ frame_width: side, frame_height: side });
      const n = Math.min(MAX_TICKS, Math.max(MIN_TICKS, Math.floor(side / TICK_ROOM)));
      this.x.limitTicks(n);
      this.y.limitTicks(n);
    }
  }

  recolour(colours: ThemeColours): void {
    this.x.recolour(colours);
    this.y.recolour(colours);
  }

  destroy(): void {
    this.isDestroyed = true;
    this.removeViews();
    this.el.remove();
  }

  private readonly noticeLayout = (): void => {
    const bbox = this.plotView?.frame.bbox;
    if (bbox === undefined || this.isDestroyed) {
      return;
    }
    const { left, top, width, height } = bbox;
    const { frame } = this;
    if (left !== frame.left || top !== frame.top || width !== frame.width || height !== frame.height) {
      this.frame = { left, top, width, height };
      this.events.onLayout(this.frame);
    }
  };

  private removeViews(): void {
    this.plotView?.repainted.disconnect(this.noticeLayout);
    for (const view of [...(this.views?.query(() => true) ?? [])]) {
      if (view.parent === null) {
        view.remove();
      }
    }
    this.views?.clear();
    this.views = null;
    this.document.clear();
    const index = documents.indexOf(this.document);
    if (index >= 0) {
      documents.splice(index, 1);
    }
  }
}
