// The list of services: filter, order, and the first run's welcome.

import { announce } from "./dashboard.dialogs.js";
import { arrange, at, el, kept, put, show } from "./dashboard.dom.js";
import { Row } from "./dashboard.row.js";
import { STATES, many } from "./dashboard.words.js";

const REDRAW_MS = 60_000;
const SORTS = {
  name: () => 0,
  state: (one, other) => STATES.indexOf(one.state) - STATES.indexOf(other.state),
  used: (one, other) => (other.last_used ?? "").localeCompare(one.last_used ?? ""),
};
const order = new Intl.Collator(undefined, { numeric: true });

export class Services {
  constructor(live, history) {
    this.live = live;
    this.history = history;
    this.rows = new Map();
    this.stale = new Set(); // services whose day has changed
    this.drawn = 0;
    this.list = at("rows");
    this.filter = at("filter");
    this.only = at("only");
    this.sort = at("sort");
    this.sort.value = kept.get("sort") in SORTS ? kept.get("sort") : "name";
    const narrowed = () => {
      this.#order();
      announce(at("count").textContent);
    };
    this.filter.addEventListener("input", narrowed);
    this.only.addEventListener("change", narrowed);
    this.sort.addEventListener("change", () => {
      kept.set("sort", this.sort.value);
      this.#order();
    });
    this.hours = at("services").querySelector(".hours");
    this.hours.append(el("div", {}, ["24 h ago", "18 h", "12 h", "6 h", "now"].map((words) => el("span", {}, words))));
    live.on("services", () => this.update());
    live.on("metrics", () => this.update());
    live.on("about", () => this.update());
    live.on("second", () => this.#second());
  }

  update() {
    for (const [id, status] of this.live.services) {
      let row = this.rows.get(id);
      if (!row) {
        this.rows.set(id, (row = new Row(this.live, this.history, id)));
        this.stale.add(id);
      }
      if (row.status?.state !== status.state) this.stale.add(id);
      row.update(status, this.live.metrics?.services?.[id]);
    }
    for (const [id, row] of this.rows) {
      if (this.live.services.has(id)) continue;
      row.log?.stop();
      this.rows.delete(id);
    }
    this.#order();
    this.#welcome();
    this.#draw();
  }

  /** Its day has changed. Drawn together with others, soon. */
  changed(id) {
    this.stale.add(id);
  }

  changedAll() {
    for (const id of this.rows.keys()) this.stale.add(id);
    this.#draw();
  }

  #second() {
    if (document.hidden) return;
    if (performance.now() - this.drawn > REDRAW_MS) return this.changedAll();
    this.#draw();
    for (const row of this.rows.values()) row.second();
  }

  #draw() {
    const now = this.live.now();
    if (this.stale.size === this.rows.size) this.drawn = performance.now();
    for (const id of this.stale) this.rows.get(id)?.draw(now);
    this.stale.clear();
  }

  #order() {
    const wanted = this.filter.value.trim().toLowerCase();
    const only = this.only.value;
    const fits = (one) => one.id.toLowerCase().includes(wanted) && (!only || one.state === only || (only === "held" && one.held_until));
    const sort = SORTS[this.sort.value];
    const all = [...this.live.services.values()];
    const shown = all.filter(fits).sort((one, other) => sort(one, other) || order.compare(one.id, other.id));
    arrange(this.list, shown.map((one) => this.rows.get(one.id).node));
    const words = STATES.map((state) => [state, all.filter((one) => one.state === state).length]).filter(([, count]) => count);
    const said = words.map(([state, count]) => `${count} ${state}`).join(", ");
    put(at("count"), shown.length === all.length ? `${many(all.length, "service")}${said ? `: ${said}` : ""}` : `${shown.length} of ${many(all.length, "service")} shown`);
    show(this.hours, shown.length > 0);
  }

  /** Nothing there, or nothing has ever run: says what to do. */
  #welcome() {
    const box = at("welcome");
    const all = [...this.live.services.values()];
    const kind = !all.length ? "none" : all.every((one) => one.state === "cold" && !one.starts && !one.last_used && !this.history.of.has(one.id)) && this.ready ? "first" : "";
    show(box, Boolean(kind));
    const told = `${kind} ${this.live.about?.file}`;
    if (this.told === told) return;
    this.told = told;
    box.replaceChildren(...(kind === "none" ? this.#none() : kind === "first" ? this.#first(all) : []));
  }

  #none() {
    const file = this.live.about?.file;
    return [
      el("h3", {}, "No service is configured yet"),
      el("p", {}, "Add one to ", el("code", {}, file ?? "hestia_config.yml"), ", for example:"),
      el("pre", { tabindex: "0", "aria-label": "Example" }, 'services:\n  whisper:\n    launch:\n      kind: process\n      command: [whisper-server, --port, "{port}"]\n'),
      el("p", {}, "Then run ", el("code", {}, "hestiactl config reload"), ". It appears here by itself."),
    ];
  }

  #first(all) {
    const one = all.find((each) => each.id === "demo") ?? all[0];
    const button = el("button", { type: "button", class: "strong", onclick: () => this.rows.get(one.id)?.buttons.Start.click() }, "Start");
    return [
      el("h3", {}, "Everything sleeps, and nothing has run yet"),
      el("p", {}, "Hestia starts a service when somebody asks for it, holds the request meanwhile, and puts it to sleep when nobody uses it any more. Open one below, or try it here:"),
      el("p", {}, button, " ", el("strong", {}, one.id)),
    ];
  }
}
