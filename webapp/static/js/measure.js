// What is measured of one comparison: seconds in use and idle, what of each completion was in view and for how long, which
// tools were used. Visible and touched within the last minute counts as in use.

const IDLE_AFTER_MS = 60_000, TICK_MS = 500;
export const REST_AFTER_SECONDS = 50 * 60;
const PAUSE_MS = 10 * 60_000; // a pause this long begins a new stretch

export class Measure {
  // `name`: where the seconds of this stretch of work are kept, so that a reload does not begin it anew.
  constructor(stage, name, onRest, onReturn) {
    Object.assign(this, { stage, name, onRest, onReturn, lastInput: Date.now() });
    for (const kind of ["pointermove", "keydown", "scroll", "pointerdown"]) addEventListener(kind, () => this.#touched(), { passive: true });
    setInterval(() => this.#tick(), TICK_MS);
    this.restart();
  }

  // `before`: the `fields()` of the same comparison when it was left, with which this goes on.
  restart(before = {}) {
    this.active = Number(before.active_seconds ?? 0);
    this.idle = Number(before.idle_seconds ?? 0);
    this.exposure = { differences: false, source: false, free_scroll: false, ...JSON.parse(before.exposure ?? "{}") };
  }

  get isIdle() { return Date.now() - this.lastInput > 5 * IDLE_AFTER_MS; }

  #touched() {
    const wasIdle = this.isIdle;
    this.lastInput = Date.now();
    if (wasIdle) this.onReturn();
  }

  use(tool) { this.exposure[tool] = true; }

  #tick() {
    const isActive = document.visibilityState === "visible" && Date.now() - this.lastInput < IDLE_AFTER_MS;
    this[isActive ? "active" : "idle"] += TICK_MS / 1000;
    if (!isActive) return;
    this.#sides();
    this.#stretch();
  }

  #sides() {
    for (const side of this.stage.querySelectorAll(".side")) {
      const box = side.getBoundingClientRect(), letter = side.dataset.side.toLowerCase();
      const seen = Math.max(0, Math.min(1, (innerHeight - 130 - box.top) / Math.max(1, box.height)));
      const inView = Math.min(box.bottom, innerHeight - 130) - Math.max(box.top, 48);
      this.exposure[`seen_${letter}`] = Math.max(this.exposure[`seen_${letter}`] ?? 0, Math.round(seen * 100) / 100);
      if (inView > Math.min(120, box.height / 2)) this.exposure[`dwell_${letter}`] = (this.exposure[`dwell_${letter}`] ?? 0) + TICK_MS / 1000;
    }
  }

  // The stretch of work without a long pause, over reloads.
  #stretch() {
    let stretch = { seconds: 0, last: Date.now() };
    try { stretch = { ...stretch, ...JSON.parse(sessionStorage.getItem(this.name)) }; } catch { /* none kept, or no storage */ }
    if (Date.now() - stretch.last > PAUSE_MS) stretch = { seconds: 0, last: 0, said: 0 };
    stretch.seconds += TICK_MS / 1000;
    stretch.last = Date.now();
    if (stretch.seconds - (stretch.said ?? 0) >= REST_AFTER_SECONDS) {
      stretch.said = stretch.seconds;
      this.onRest();
    }
    try { sessionStorage.setItem(this.name, JSON.stringify(stretch)); } catch { /* then a reload begins anew */ }
  }

  fields() {
    return { active_seconds: this.active.toFixed(1), idle_seconds: this.idle.toFixed(1), exposure: JSON.stringify(this.exposure), interface_language: document.documentElement.lang };
  }
}
