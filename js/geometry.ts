/** Points, rectangles and their pixels. Pure. */

export type Point = readonly [number, number];

/** `[left, right, bottom, top]`, y upwards. */
export type Rect = readonly [number, number, number, number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

export function toPixel([left, right, bottom, top]: Rect, { width, height }: Size, [x, y]: Point): Point {
  return [((x - left) / (right - left)) * width, ((top - y) / (top - bottom)) * height];
}

export function fromPixel([left, right, bottom, top]: Rect, { width, height }: Size, [x, y]: Point): Point {
  return [left + (x / width) * (right - left), top - (y / height) * (top - bottom)];
}

/** The part of `rect` that fills the screen after a screen transform `p -> scale * p + shift`. */
export function transformed(rect: Rect, size: Size, scale: number, shiftX: number, shiftY: number): Rect {
  const [left, top] = fromPixel(rect, size, [-shiftX / scale, -shiftY / scale]);
  const [right, bottom] = fromPixel(rect, size, [(size.width - shiftX) / scale, (size.height - shiftY) / scale]);
  return [left, right, bottom, top];
}

/** `rect` made smaller (factor > 1) or larger about a point of it. */
export function zoomed([left, right, bottom, top]: Rect, factor: number, [x, y]: Point): Rect {
  return [x + (left - x) / factor, x + (right - x) / factor, y + (bottom - y) / factor, y + (top - y) / factor];
}

export function moved([left, right, bottom, top]: Rect, dx: number, dy: number): Rect {
  return [left + dx, right + dx, bottom + dy, top + dy];
}

export function centre([left, right, bottom, top]: Rect): Point {
  return [(left + right) / 2, (bottom + top) / 2];
}

/** The smallest rectangle of the size's aspect that holds `rect`, about the same centre. */
export function fitted(rect: Rect, { width, height }: Size): Rect {
  const [left, right, bottom, top] = rect;
  const [x, y] = centre(rect);
  const unit = Math.max((right - left) / width, (top - bottom) / height);
  return [x - (unit * width) / 2, x + (unit * width) / 2, y - (unit * height) / 2, y + (unit * height) / 2];
}

export function clamped([x, y]: Point, [left, right, bottom, top]: Rect): Point {
  return [Math.min(Math.max(x, left), right), Math.min(Math.max(y, bottom), top)];
}

export function contains([left, right, bottom, top]: Rect, [x, y]: Point): boolean {
  return x >= left && x <= right && y >= bottom && y <= top;
}

/** The bounding rectangle of interleaved coordinates; a unit square about the point if there is only one. */
export function bounds(points: ArrayLike<number>): Rect {
  let left = Infinity;
  let right = -Infinity;
  let bottom = Infinity;
  let top = -Infinity;
  for (let i = 0; i < points.length; i += 2) {
    left = Math.min(left, points[i]);
    right = Math.max(right, points[i]);
    bottom = Math.min(bottom, points[i + 1]);
    top = Math.max(top, points[i + 1]);
  }
  if (!(left <= right)) {
    return [-0.5, 0.5, -0.5, 0.5];
  }
  if (left === right && bottom === top) {
    return [left - 0.5, right + 0.5, bottom - 0.5, top + 0.5];
  }
  return [left, right, bottom, top];
}

export function padded([left, right, bottom, top]: Rect, x: number, y: number): Rect {
  return [left - x, right + x, bottom - y, top + y];
}

/** The area of a simple polygon, positive whichever way round. */
export function polygonArea(corners: readonly Point[]): number {
  let twice = 0;
  corners.forEach(([x1, y1], i) => {
    const [x0, y0] = corners[(i + corners.length - 1) % corners.length];
    twice += x0 * y1 - x1 * y0;
  });
  return Math.abs(twice) / 2;
}

/** The part of a convex polygon inside a rectangle (Sutherland and Hodgman, 1974); empty when they do not meet. */
export function clippedTo([left, right, bottom, top]: Rect, corners: readonly Point[]): Point[] {
  const sides: ((point: Point) => number)[] = [([x]) => x - left, ([x]) => right - x, ([, y]) => y - bottom, ([, y]) => top - y];
  return sides.reduce<Point[]>((polygon, inside) => {
    const kept: Point[] = [];
    polygon.forEach((to, i) => {
      const from = polygon[(i + polygon.length - 1) % polygon.length];
      const [a, b] = [inside(from), inside(to)];
      if ((a < 0 && b > 0) || (a > 0 && b < 0)) {
        const t = a / (a - b);
        kept.push([from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])]);
      }
      if (b >= 0) {
        kept.push(to);
      }
    });
    return kept;
  }, [...corners]);
}
