// A day of one service as a strip: height and colour are the state, what stands under the pointer is said in words.
// With the keyboard the arrows go from one stretch to the next; a screen reader hears the same words.

import { at, el, mark, put, show, svg } from "./dashboard.dom.js";
import { DAY_MS } from "./dashboard.history.js";
import { clock, span } from "./dashboard.words.js";

const WIDTH = 1440; // a unit is a minute
const WEIGHTS = ["cold", "stopping", "starting", "hot", "failed"]; // of several in one pixel the heaviest is shown
const HEIGHTS = { cold: 3, starting: 11, hot: 20, stopping: 11, failed: 20 };

export const inWords = (one, now) => {
  const until = one.to >= now - 2 ? "now" : clock(one.to, now);
  const parts = [`${one.state}, ${clock(one.from, now)} – ${until} (${span((one.to - one.from) / 1000)})`, one.why];
  if (one.busy) parts.push(one.busy);
  if (one.kept) parts.push(`kept awake by ${one.kept}`);
  if (one.then) parts.push(`then: ${one.then}`);
  return parts.filter(Boolean).join(". ");
};

export class Timeline {
  constructor(name) {
    this.stretches = [];
    this.now = 0;
    this.chosen = -1;
    this.drawing = svg("svg", { viewBox: `0 0 ${WIDTH} 20`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.node = el(
      "div",
      { class: "strip", role: "slider", tabindex: "0", "aria-label": `Last 24 hours of ${name}`, "aria-valuemin": "1", "aria-orientation": "horizontal",
        onkeydown: (event) => this.#key(event), onblur: () => this.#choose(-1), onfocus: () => this.#choose(this.stretches.length - 1),
        onpointermove: (event) => this.#point(event), onpointerdown: (event) => this.#point(event), onpointerleave: () => this.#choose(-1) },
      this.drawing,
    );
  }

  draw(stretches, now) {
    this.stretches = stretches;
    this.now = now;
    const bars = [];
    let last = null;
    for (const one of stretches) {
      const x = Math.max(0, ((one.from - (now - DAY_MS)) / DAY_MS) * WIDTH);
      const width = ((one.to - one.from) / DAY_MS) * WIDTH;
      if (last && last.state === one.state && x - last.end < 1) last.end = x + width;
      else if (last && width < 1 && last.end - last.x < 1.5 && x < last.x + 1.5) {
        last.end = Math.max(last.end, x + width);
        if (WEIGHTS.indexOf(one.state) > WEIGHTS.indexOf(last.state)) last.state = one.state;
      } else bars.push((last = { x, end: x + width, state: one.state }));
    }
    this.drawing.replaceChildren(
      ...bars.map((bar) => {
        const height = HEIGHTS[bar.state] ?? 3;
        return svg("rect", { class: `is-${bar.state}`, x: bar.x.toFixed(2), y: 20 - height, width: Math.max(bar.end - bar.x, bar.state === "cold" ? 0 : 2).toFixed(2), height });
      }),
    );
    mark(this.node, "aria-valuemax", stretches.length);
    if (this.chosen >= 0 && document.activeElement === this.node) this.#choose(Math.min(this.chosen, stretches.length - 1));
    else this.#speak(stretches.length - 1);
  }

  #key(event) {
    const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
    const last = this.stretches.length - 1;
    const next = event.key === "Home" ? 0 : event.key === "End" ? last : step ? Math.min(last, Math.max(0, this.chosen + step)) : null;
    if (event.key === "Escape") return this.#choose(-1);
    if (next === null) return;
    event.preventDefault();
    this.#choose(next);
  }

  #point(event) {
    const box = this.node.getBoundingClientRect();
    const moment = this.now - DAY_MS + ((event.clientX - box.left) / box.width) * DAY_MS;
    const near = DAY_MS / Math.max(box.width, 1); // a pixel: what is shorter can be met too, and states other than cold win
    const hits = this.stretches.map((one, index) => [one, index]).filter(([one]) => one.from - near <= moment && moment <= one.to + near);
    const best = hits.find(([one]) => one.to - one.from < 3 * near) ?? hits.find(([one]) => one.from <= moment && moment <= one.to) ?? hits[0];
    this.#choose(best ? best[1] : -1, event.clientX);
  }

  #speak(index) {
    const one = this.stretches[index];
    mark(this.node, "aria-valuenow", index + 1);
    mark(this.node, "aria-valuetext", one ? inWords(one, this.now) : null);
  }

  #choose(index, x = null) {
    this.chosen = index;
    const tip = at("tip");
    const one = this.stretches[index];
    show(tip, Boolean(one));
    if (!one) return;
    this.#speak(index);
    put(tip, inWords(one, this.now));
    const box = this.node.getBoundingClientRect();
    const middle = x ?? box.left + (((one.from + one.to) / 2 - (this.now - DAY_MS)) / DAY_MS) * box.width;
    const half = tip.offsetWidth / 2;
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(8, Math.min(middle - half, document.documentElement.clientWidth - 2 * half - 8))}px`;
    tip.style.top = `${above > 4 ? above : box.bottom + 8}px`;
  }
}
