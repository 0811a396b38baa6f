/**
 * The messages of docs/protocol.md and the decoding of their buffers.
 *
 * Knows the wire format and nothing of what is shown. Buffers come as DataViews into one larger ArrayBuffer; a typed array
 * looks into it where its offset is aligned and copies where it is not.
 */

import type { Point, Rect } from "./geometry.ts";
import type { Limits } from "./limits.ts";

export type AnchorWish =
  | { readonly kind: "keep" }
  | { readonly kind: "image"; readonly index: number }
  | { readonly kind: "blend"; readonly indices: readonly number[]; readonly weights: readonly number[] }
  | { readonly kind: "slice"; readonly u: Point }
  | { readonly kind: "point"; readonly x: Point };

export type Legend =
  | { readonly kind: "classes"; readonly entries: readonly { readonly name: string; readonly colour: string }[] }
  | {
      readonly kind: "scale";
      readonly title: string;
      readonly low: number;
      readonly high: number;
      readonly log: boolean;
      readonly is_low_clipped: boolean;
      readonly is_high_clipped: boolean;
      readonly palette: readonly string[];
    }
  | { readonly kind: "none"; readonly title: string };

export interface BoardMessage {
  readonly kind: "board";
  readonly mode: "images" | "plane" | "empty";
  readonly n_images: number;
  readonly thumbnail: readonly [number, number] | null;
  readonly columns: number;
  readonly class_names: readonly string[] | null;
  /** Of each label that occurs, as in the slice. */
  readonly class_colours: Readonly<Record<string, string>>;
  readonly has_labels: boolean;
  readonly extent: Rect | null;
  readonly cell: Point | null;
  readonly positions: Float32Array;
  readonly labels: Int32Array;
  /** PNG: the atlas in mode `images`, the background in mode `plane`. */
  readonly image: Png | null;
}

export interface AnchorsMessage {
  readonly kind: "anchors";
  readonly sequence: number;
  readonly view_id: string | null;
  readonly plane: number;
  readonly slice: readonly Point[];
  readonly board: readonly (Point | null)[];
  readonly names: readonly string[];
  readonly predictions: readonly string[];
  readonly is_class: boolean;
  readonly picture_size: readonly [number, number] | null;
  readonly notes: readonly string[];
  readonly pictures: readonly Png[];
}

/** Colours of cells, and the convex pieces painted over them. */
export interface Colouring {
  readonly colours: Uint32Array;
  readonly piecePoints: Float32Array;
  readonly pieceOffsets: Uint32Array;
  readonly pieceColours: Uint32Array;
}

/** Where the units of one layer bend. */
export interface Lines {
  readonly layer: number;
  readonly name: string;
  readonly n_units: number;
  /** Units that bend anywhere on show. */
  readonly n_bent: number;
  readonly n_edges: number;
  /** Of all edges, in units of the slice. */
  readonly length: number;
}

/** The lines on show, and the ends of their edges as pairs of vertices. */
export interface Drawn {
  readonly lines: Lines | null;
  readonly lineEnds: Uint32Array;
}

export interface PictureMessage extends Colouring, Drawn {
  readonly kind: "picture";
  readonly sequence: number;
  readonly view_id: string | null;
  /** Counts the pictures of the widget, for all views. */
  readonly number: number;
  readonly plane: number;
  readonly centre: Point;
  readonly scale: number;
  /** What the cells cover: all of the view where `complete`. */
  readonly domain: readonly Point[];
  readonly complete: boolean;
  readonly view: Rect;
  readonly limits: Limits;
  readonly n_cells: number;
  readonly n_vertices: number;
  readonly n_regions: number | null;
  /** Of the network itself, and not of one with approximated activations. */
  readonly exact: boolean;
  readonly to_input: { readonly origin: Point; readonly basis: readonly [Point, Point] } | null;
  readonly legend: Legend;
  readonly timing: Readonly<Record<string, number>>;
  readonly vertices: Float32Array;
  readonly cellOffsets: Uint32Array;
  readonly cellVertices: Uint32Array;
  readonly boundary: Float32Array;
}

/** The lines of the first layers, of a plane whose picture takes long. */
export interface SketchMessage {
  readonly kind: "sketch";
  readonly sequence: number;
  readonly view_id: string | null;
  readonly plane: number;
  readonly centre: Point;
  readonly scale: number;
  readonly domain: readonly Point[];
  readonly view: Rect;
  readonly slice: readonly [Point, Point, Point];
  readonly n_layers: number;
  readonly n_layers_in_all: number;
  /** 0 where they are not known. */
  readonly n_cells: number;
  readonly segments: Float32Array;
}

/** What the checks of picture `number` found. */
export interface CertificateMessage {
  readonly kind: "certificate";
  readonly sequence: number;
  readonly view_id: string | null;
  readonly number: number;
  readonly verdict: "sound" | "approximation" | "unsound" | "failed";
  /** Names and values, as they are shown. */
  readonly figures: readonly (readonly [string, string])[];
}

export interface ColoursMessage extends Colouring {
  readonly kind: "colours";
  readonly legend: Legend;
}

/** Of picture `number`. */
export interface LinesMessage extends Drawn {
  readonly kind: "lines";
  readonly number: number;
}

export interface FailedMessage {
  readonly kind: "failed";
  readonly sequence: number;
  readonly view_id: string | null;
  readonly title: string;
  readonly message: string;
}

export interface InspectionMessage {
  readonly kind: "inspection";
  readonly view_id: string;
  readonly id: number;
  /** Of the picture that `cell` counts in. */
  readonly number: number;
  readonly cell: number | null;
  readonly area: number | null;
  /** The cell goes on outside the view, and `area` is that of the part inside. */
  readonly is_cut: boolean;
  readonly prediction: string;
  readonly is_class: boolean;
  readonly values: readonly { readonly name: string; readonly value: number }[];
  readonly slope: number | null;
  /** The nearest of the cell's edges inside the domain, and the unit that bends there. */
  readonly edge: { readonly layer: number; readonly unit: number; readonly name: string; readonly distance: number } | null;
  /** To the decision boundary within the slice; a bound where it may be nearer outside the domain. */
  readonly distance: { readonly value: number; readonly is_bound: boolean } | null;
  readonly picture_size: readonly [number, number] | null;
  readonly error: string;
  readonly picture: Png | null;
}

export type Message =
  | BoardMessage
  | AnchorsMessage
  | PictureMessage
  | SketchMessage
  | CertificateMessage
  | ColoursMessage
  | LinesMessage
  | FailedMessage
  | InspectionMessage;

/** The bytes of an encoded picture. */
export type Png = Uint8Array<ArrayBuffer>;

type Buffer = DataView | ArrayBuffer | Uint8Array;

/** The bytes of a buffer, whatever wraps them. */
function bytes(buffer: Buffer | undefined): Uint8Array<ArrayBuffer> {
  if (buffer === undefined) {
    return new Uint8Array(0);
  }
  if (buffer instanceof ArrayBuffer) {
    return new Uint8Array(buffer);
  }
  return new Uint8Array(buffer.buffer as ArrayBuffer, buffer.byteOffset, buffer.byteLength);
}

type Words<T> = new (buffer: ArrayBuffer, offset: number, length: number) => T;

/** Four-byte words of a buffer as `type`; a view where aligned, else a copy. */
export function words<T>(type: Words<T>, buffer: Buffer | undefined): T {
  const from = bytes(buffer);
  const aligned = from.byteOffset % 4 === 0 ? from : from.slice();
  return new type(aligned.buffer, aligned.byteOffset, aligned.byteLength >> 2);
}

/** A PNG's bytes, null for none. */
function png(buffer: Buffer | undefined): Png | null {
  const data = bytes(buffer);
  return data.length > 0 ? data : null;
}

function colouring(buffers: readonly Buffer[], first: number): Colouring {
  return {
    colours: words(Uint32Array, buffers[first]),
    piecePoints: words(Float32Array, buffers[first + 1]),
    pieceOffsets: words(Uint32Array, buffers[first + 2]),
    pieceColours: words(Uint32Array, buffers[first + 3]),
  };
}

/** A custom message of Python's, decoded. Throws on a kind it does not know. */
export function decode(content: { readonly kind: string } & object, buffers: readonly Buffer[]): Message {
  switch (content.kind) {
    case "board": {
      const { mode } = content as BoardMessage;
      const isMap = mode === "images";
      return {
        ...(content as BoardMessage),
        positions: words(Float32Array, isMap ? buffers[0] : undefined),
        labels: words(Int32Array, isMap ? buffers[1] : undefined),
        image: png(isMap ? buffers[2] : buffers[0]),
      };
    }
    case "anchors":
      return { ...(content as AnchorsMessage), pictures: buffers.map(png).filter((picture) => picture !== null) };
    case "picture":
      return {
        ...(content as PictureMessage),
        vertices: words(Float32Array, buffers[0]),
        cellOffsets: words(Uint32Array, buffers[1]),
        cellVertices: words(Uint32Array, buffers[2]),
        boundary: words(Float32Array, buffers[4]),
        colours: words(Uint32Array, buffers[3]),
        piecePoints: words(Float32Array, buffers[5]),
        pieceOffsets: words(Uint32Array, buffers[6]),
        pieceColours: words(Uint32Array, buffers[7]),
        lineEnds: words(Uint32Array, buffers[8]),
      };
    case "sketch":
      return { ...(content as SketchMessage), segments: words(Float32Array, buffers[0]) };
    case "colours":
      return { ...(content as ColoursMessage), ...colouring(buffers, 0) };
    case "lines":
      return { ...(content as LinesMessage), lineEnds: words(Uint32Array, buffers[0]) };
    case "certificate":
      return content as CertificateMessage;
    case "failed":
      return content as FailedMessage;
    case "inspection":
      return { ...(content as InspectionMessage), picture: png(buffers[0]) };
    default:
      throw new Error(`unknown message from Python: ${content.kind}`);
  }
}
