import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, words, type BoardMessage, type InspectionMessage, type LinesMessage, type PictureMessage, type SketchMessage } from "./protocol.ts";

/** A typed array as a DataView at an odd place of a larger buffer, as a websocket frame gives it. */
function framed(array: ArrayBufferView, offset: number): DataView {
  const frame = new Uint8Array(array.byteLength + offset + 3);
  frame.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), offset);
  return new DataView(frame.buffer, offset, array.byteLength);
}

test("words are read at any alignment", () => {
  const numbers = Float32Array.of(1.5, -2, 3e10);
  for (let offset = 0; offset < 8; offset++) {
    assert.deepEqual(words(Float32Array, framed(numbers, offset)), numbers);
  }
});

test("aligned words are not copied", () => {
  const view = framed(Uint32Array.of(7, 8), 4);
  assert.equal(words(Uint32Array, view).buffer, view.buffer);
});

test("a missing buffer is an empty array", () => {
  assert.equal(words(Uint32Array, undefined).length, 0);
});

test("a picture's buffers go where the protocol says", () => {
  const buffers = [
    Float32Array.of(0, 0, 1, 0, 0, 1),
    Uint32Array.of(0, 3),
    Uint32Array.of(0, 1, 2),
    Uint32Array.of(0xff0000ff),
    Float32Array.of(0, 1, 2, 3),
    Float32Array.of(4, 5),
    Uint32Array.of(0, 1),
    Uint32Array.of(9),
    Uint32Array.of(2, 1),
  ].map((array, i) => framed(array, i));
  const picture = decode({ kind: "picture", sequence: 3 } as { kind: string }, buffers) as PictureMessage;
  assert.equal(picture.sequence, 3);
  assert.deepEqual([...picture.cellVertices], [0, 1, 2]);
  assert.deepEqual([...picture.colours], [0xff0000ff]);
  assert.deepEqual([...picture.boundary], [0, 1, 2, 3]);
  assert.deepEqual([...picture.piecePoints], [4, 5]);
  assert.deepEqual([...picture.pieceOffsets], [0, 1]);
  assert.deepEqual([...picture.pieceColours], [9]);
  assert.deepEqual([...picture.lineEnds], [2, 1]);
});

test("a board's image stands third for a map and first for a plane", () => {
  const map = decode({ kind: "board", mode: "images" } as { kind: string }, [
    framed(Float32Array.of(1, 2), 0),
    framed(Int32Array.of(-1), 1),
    framed(Uint8Array.of(1, 2, 3), 2),
  ]) as BoardMessage;
  assert.deepEqual([...map.image!], [1, 2, 3]);
  assert.deepEqual([...map.labels], [-1]);
  const plane = decode({ kind: "board", mode: "plane" } as { kind: string }, [framed(Uint8Array.of(5), 0)]) as BoardMessage;
  assert.deepEqual([...plane.image!], [5]);
  const empty = decode({ kind: "board", mode: "empty" } as { kind: string }, []) as BoardMessage;
  assert.equal(empty.image, null);
});

test("an inspection may have no picture", () => {
  assert.equal((decode({ kind: "inspection" }, []) as InspectionMessage).picture, null);
});

test("an unknown kind is an error", () => {
  assert.throws(() => decode({ kind: "surprise" }, []), /surprise/);
});

test("lines of a layer are pairs of vertices", () => {
  const content = { kind: "lines", number: 4, lines: { layer: 1 } } as { kind: string };
  const message = decode(content, [framed(Uint32Array.of(0, 5), 3)]) as LinesMessage;
  assert.equal(message.lines?.layer, 1);
  assert.deepEqual([...message.lineEnds], [0, 5]);
});

test("a sketch's lines are its only buffer", () => {
  const lines = Float32Array.of(0, 0, 1, 1);
  const sketch = decode({ kind: "sketch", n_layers: 2 } as { kind: string }, [framed(lines, 1)]) as SketchMessage;
  assert.equal(sketch.n_layers, 2);
  assert.deepEqual(sketch.segments, lines);
});
