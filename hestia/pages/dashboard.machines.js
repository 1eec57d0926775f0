// Machines: what they have, what takes it, what keeps them awake.

import { askSleep, complain } from "./dashboard.dialogs.js";
import { arrange, at, el, fresh, mark, put, show } from "./dashboard.dom.js";
import { address } from "./dashboard.live.js";
import { SIGNS, amount, held, many } from "./dashboard.words.js";

export class Machines {
  constructor(live) {
    this.live = live;
    this.cards = new Map();
    this.list = el("ul", { class: "machines" });
    this.empty = el("p", { class: "soft", hidden: true }, "No machine is configured: everything runs on this one, and nothing limits it. Give `machines` a capacity to see it here.");
    at("machines").querySelector(".body").append(this.list, this.empty);
    live.on("machines", () => this.update());
  }

  update() {
    const cards = this.live.machines.map((one) => {
      if (!this.cards.has(one.id)) this.cards.set(one.id, new Card(this.live, one.id));
      const card = this.cards.get(one.id);
      card.update(one);
      return card.node;
    });
    for (const id of this.cards.keys()) if (!this.live.machines.some((one) => one.id === id)) this.cards.delete(id);
    arrange(this.list, cards);
    show(this.empty, !cards.length);
  }
}

class Card {
  constructor(live, id) {
    this.live = live;
    this.id = id;
    this.bars = new Map();
    const title = fresh("machine");
    this.sign = el("span", { class: "sign", "aria-hidden": "true" });
    this.word = el("span", { class: "word" });
    this.why = el("p", { class: "why" });
    this.room = el("div", { class: "room" });
    const button = (word, act) => el("button", { type: "button", "aria-describedby": title, onclick: act }, word);
    this.wake = button("Wake", () => this.#do("wake"));
    this.sleep = button("Sleep", () => this.#sleep());
    this.node = el("li", { class: "card machine", tabindex: "-1" }, el("h3", { id: title }, id), el("p", { class: "state" }, this.sign, this.word), this.why, this.room, el("div", { class: "actions" }, this.wake, this.sleep));
  }

  async #do(what) {
    try {
      const status = await this.live.act(`v1/machines/${address(this.id)}/${what}`);
      this.update(status);
      this.live.refresh("machines");
    } catch (problem) {
      complain(`${this.id} did not ${what}`, problem);
    }
  }

  async #sleep() {
    if (this.status.holds?.length && !(await askSleep(this.id, this.status.holds))) return;
    await this.#do("sleep");
  }

  update(status) {
    this.status = status;
    const local = this.id === "local";
    mark(this.node, "data-state", status.state);
    put(this.sign, SIGNS[status.state] ?? "?");
    put(this.word, status.state);
    put(this.why, this.#why(status, local));
    const awake = ["hot", "starting"].includes(status.state);
    for (const [node, yes] of [[this.wake, !local && !awake], [this.sleep, !local && awake]]) {
      if (!yes && document.activeElement === node) this.node.focus({ preventScroll: true });
      show(node, yes);
    }
    const names = [...new Set([...Object.keys(status.capacity ?? {}), ...Object.keys(status.used ?? {})])];
    arrange(this.room, names.map((name) => this.#bar(name, status.used?.[name] ?? 0, status.capacity?.[name])));
  }

  #why(status, local) {
    const said = [];
    if (status.held_until) said.push(held(status.held_until, this.live.now()));
    if (status.last_error && status.state !== "hot") said.push(status.last_error);
    if (local) said.push("this machine: always awake");
    if (status.holds?.length) said.push(`${local ? "in use by" : "kept awake by"} ${status.holds.join(", ")}`);
    else if (status.leases) said.push(`${many(status.leases, "place")} in use`);
    else if (!local && status.state === "hot") said.push("nothing keeps it awake");
    return said.join(" · ");
  }

  #bar(name, used, whole) {
    if (!this.bars.has(name)) {
      const id = fresh("room");
      const fill = el("span", { class: "fill" });
      const words = el("span", { class: "soft" });
      const meter = el("div", { class: "meter", role: "meter", "aria-labelledby": id, "aria-valuemin": "0" }, fill);
      this.bars.set(name, { fill, words, meter, node: el("div", { class: "resource" }, el("span", { id }, name), words, meter) });
    }
    const bar = this.bars.get(name);
    put(bar.words, whole === undefined ? `${amount(used)} used, no limit` : `${amount(used)} of ${amount(whole)}, ${amount(Math.max(0, whole - used))} free`);
    mark(bar.meter, "aria-valuenow", used);
    mark(bar.meter, "aria-valuemax", whole ?? Math.max(used, 1));
    mark(bar.meter, "aria-valuetext", bar.words.textContent);
    mark(bar.meter, "data-full", whole && used / whole > 0.9 ? "yes" : null);
    bar.fill.style.width = whole ? `${Math.min(100, (100 * used) / whole)}%` : "0";
    return bar.node;
  }
}
