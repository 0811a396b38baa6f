/** A stand-in for anywidget's model: traits in a Map, messages by callbacks, a kernel that answers or does not exist. */

import type { Traits, WidgetModel } from "../model.ts";

type Callback = (...args: unknown[]) => void;

export interface Kernel {
  onRequest(model: FakeModel): void;
  onLayer(model: FakeModel): void;
  onMessage(model: FakeModel, content: { readonly kind: string } & Record<string, unknown>): void;
}

export class FakeModel implements WidgetModel {
  private readonly traits: Traits = {
    _request: {},
    color_by: "class",
    _colourings: ["class", "margin", "pattern", "area", "slope"],
    layer: null,
    _layers: ["1 (relu)", "3 (relu)"],
    status: { state: "waiting" },
    error: "",
  };
  private readonly callbacks = new Map<string, Set<Callback>>();
  /** Everything that went to Python, for tests. */
  readonly sent: unknown[] = [];

  constructor(private readonly kernel: Kernel | null) {}

  get<K extends keyof Traits>(name: K): Traits[K] {
    return this.traits[name];
  }

  set<K extends keyof Traits>(name: K, value: Traits[K]): void {
    this.traits[name] = value;
    this.sent.push({ trait: name, value: structuredClone(value) });
    if (name === "_request") {
      this.kernel?.onRequest(this);
    } else if (name === "layer") {
      this.kernel?.onLayer(this);
    }
    this.emit(`change:${name}`);
  }

  /** A trait set by Python. */
  assign<K extends keyof Traits>(name: K, value: Traits[K]): void {
    this.traits[name] = value;
    this.emit(`change:${name}`);
  }

  save_changes(): void {}

  send(content: unknown): void {
    this.sent.push(structuredClone(content));
    this.kernel?.onMessage(this, content as { kind: string } & Record<string, unknown>);
  }

  /** A custom message from Python, its buffers as views at odd places of one ArrayBuffer, as from a websocket. */
  deliver(content: unknown, buffers: readonly ArrayBufferView[] = []): void {
    const total = buffers.reduce((sum, { byteLength }) => sum + byteLength, 2);
    const frame = new Uint8Array(total);
    let offset = 2;
    const views = buffers.map(({ buffer, byteOffset, byteLength }) => {
      frame.set(new Uint8Array(buffer, byteOffset, byteLength), offset);
      offset += byteLength;
      return new DataView(frame.buffer, offset - byteLength, byteLength);
    });
    this.emit("msg:custom", content, views);
  }

  on(event: string, callback: Callback): void {
    this.callbacks.set(event, (this.callbacks.get(event) ?? new Set()).add(callback));
  }

  off(event: string, callback: Callback): void {
    this.callbacks.get(event)?.delete(callback);
  }

  get listenerCount(): number {
    return [...this.callbacks.values()].reduce((sum, set) => sum + set.size, 0);
  }

  private emit(event: string, ...args: unknown[]): void {
    for (const callback of [...(this.callbacks.get(event) ?? [])]) {
      callback(...args);
    }
  }
}
