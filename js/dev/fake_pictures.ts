/** Pictures for the dev page, drawn by code: digits as thumbnails, blends of them, a backdrop for two inputs. */

import { context2d, element } from "../dom.ts";
import { normal, type Random } from "./fake_network.ts";

export const TILE = 12;
export const COLUMNS = 60;

export async function pngOf(canvas: HTMLCanvasElement): Promise<Uint8Array> {
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  return new Uint8Array(await blob!.arrayBuffer());
}

/** Thumbnails of the digits `labels`, in rows of `COLUMNS`. */
export function drawAtlas(labels: Int32Array, random: Random): HTMLCanvasElement {
  const atlas = element("canvas", { width: COLUMNS * TILE, height: Math.ceil(labels.length / COLUMNS) * TILE });
  const pen = context2d(atlas);
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, atlas.width, atlas.height);
  pen.fillStyle = "#fff";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  labels.forEach((label, i) => {
    pen.save();
    pen.translate(((i % COLUMNS) + 0.5) * TILE, (Math.floor(i / COLUMNS) + 0.5) * TILE);
    pen.rotate(normal(random) * 0.18);
    pen.scale(1 + normal(random) * 0.1, 1);
    pen.font = `${random() < 0.5 ? "" : "bold "}${10 + random() * 2}px sans-serif`;
    pen.fillText(String(label), normal(random) * 0.5, 0.5);
    pen.restore();
  });
  return atlas;
}

/** One tile, or several laid over each other by weight. */
export function drawBlend(atlas: HTMLCanvasElement, indices: readonly number[], weights: readonly number[]): HTMLCanvasElement {
  const tile = element("canvas", { width: TILE, height: TILE });
  const pen = context2d(tile);
  pen.fillRect(0, 0, TILE, TILE);
  pen.globalCompositeOperation = "lighter";
  indices.forEach((index, i) => {
    pen.globalAlpha = weights[i];
    pen.drawImage(atlas, (index % COLUMNS) * TILE, Math.floor(index / COLUMNS) * TILE, TILE, TILE, 0, 0, TILE, TILE);
  });
  return tile;
}

export function drawBackdrop(size: number): HTMLCanvasElement {
  const canvas = element("canvas", { width: size, height: size });
  const pen = context2d(canvas);
  const sky = pen.createLinearGradient(0, 0, 0, size);
  sky.addColorStop(0, "#2d4f73");
  sky.addColorStop(1, "#c98a5a");
  pen.fillStyle = sky;
  pen.fillRect(0, 0, size, size);
  pen.fillStyle = "#f2e3c0";
  pen.beginPath();
  pen.arc(size * 0.7, size * 0.35, size * 0.16, 0, 2 * Math.PI);
  pen.fill();
  pen.fillStyle = "#20343a";
  pen.beginPath();
  pen.moveTo(0, size);
  pen.lineTo(size * 0.35, size * 0.45);
  pen.lineTo(size * 0.62, size);
  pen.fill();
  return canvas;
}
