// What happened, newest first: live, searched, and back as far as it is kept.

import { Table, at, clean, el, put, show } from "./dashboard.dom.js";
import { DAY_MS } from "./dashboard.history.js";
import { says, stamp } from "./dashboard.words.js";

const PAGE = 100;
const MOST_SHOWN = 1000;
const DAY_PAGE = 1000;
const DAY_PAGES = 20;

export class Activity {
  constructor(live, history, changed) {
    this.live = live;
    this.history = history;
    this.changed = changed; // (service or null): its day has changed
    this.entries = [];
    this.ids = new Set();
    this.next = this.cut = null;
    this.asked = 0;
    this.services = at("whose");
    this.kinds = at("kind");
    this.seek = at("seek");
    this.table = new Table(
      "Activity",
      [
        { name: "When", say: (one) => stamp(one.ts), head: true },
        { name: "What", say: (one) => one.kind },
        { name: "Whose", say: (one) => [one.service, one.machine && `on ${one.machine}`].filter(Boolean).join(" ") || "the gateway" },
        { name: "Why", say: (one) => says(one) },
      ],
      "Nothing has happened yet. Starts, stops and their reasons appear here.",
    );
    this.words = el("p", { class: "soft", role: "status" });
    this.older = el("button", { type: "button", onclick: () => this.page() }, "Show older");
    at("activity").querySelector(".body").append(this.table.node, this.words, this.older);
    for (const choice of [this.services, this.kinds]) choice.addEventListener("change", () => this.anew());
    this.seek.addEventListener("input", () => this.show());
    live.on("entry", (entry) => this.hear(entry));
    live.on("again", () => this.catchUp());
    live.on("services", () => choices(this.services, [...live.services.keys()]));
  }

  // --- the list

  #query() {
    const query = new URLSearchParams({ limit: PAGE });
    if (this.services.value) query.set("service", this.services.value);
    if (this.kinds.value) query.set("kind", this.kinds.value);
    return query;
  }

  async anew() {
    this.entries = [];
    this.ids.clear();
    this.next = this.cut = null;
    await this.page();
  }

  async page() {
    const mine = (this.asked += 1);
    const query = this.#query();
    if (this.next) query.set("cursor", this.next);
    else if (this.cut) query.set("until", this.cut);
    try {
      const said = await this.live.ask(`v1/activity?${query}`);
      if (mine !== this.asked) return; // another choice was made meanwhile
      this.next = said.next;
      this.cut = null;
      for (const entry of said.activity) this.#take(entry);
      this.show();
    } catch (problem) {
      put(this.words, `The activity could not be read: ${problem.message}`);
      show(this.words, true);
    }
  }

  #take(entry) {
    if (this.ids.has(entry.id)) return;
    this.ids.add(entry.id);
    this.entries.push(entry);
    choices(this.kinds, [entry.kind]);
  }

  #fits(entry) {
    return (!this.services.value || entry.service === this.services.value) && (!this.kinds.value || entry.kind === this.kinds.value);
  }

  hear(entry) {
    if (this.history.add(entry)) this.changed(entry.service);
    if (!this.#fits(entry)) return;
    this.#take(entry);
    if (this.entries.length > MOST_SHOWN) this.#forget();
    this.soon ??= setTimeout(() => this.show(), 250); // a storm of events is shown a few times a second
  }

  #forget() {
    this.entries.sort((one, other) => other.id - one.id);
    const last = this.entries[MOST_SHOWN - PAGE - 1];
    for (const one of this.entries.splice(MOST_SHOWN - PAGE)) this.ids.delete(one.id);
    this.next = null;
    this.cut = new Date(Date.parse(last.ts) + 1).toISOString(); // what is older is asked for again, from there on
  }

  show() {
    clearTimeout(this.soon);
    this.soon = null;
    const wanted = this.seek.value.trim().toLowerCase();
    const text = (one) => clean([one.ts, one.kind, one.service, one.machine, one.request_id, says(one)].join(" ")).toLowerCase();
    const found = this.entries.sort((one, other) => other.id - one.id).filter((one) => !wanted || text(one).includes(wanted));
    this.table.fill(found.map((one) => [one.id, one]));
    put(this.words, wanted ? `${found.length} of the ${this.entries.length} entries that are shown${this.next || this.cut ? "; older ones may fit too" : ""}` : "");
    show(this.words, Boolean(wanted));
    show(this.older, Boolean(this.next || this.cut));
  }

  // --- the day

  /** Everything of the last 24 hours into the history, newest first. */
  async day() {
    await this.#read(this.live.now() - DAY_MS);
  }

  async catchUp() {
    await this.#read(Math.max(this.history.newest - 1000, this.live.now() - DAY_MS));
    const query = this.#query();
    try {
      const said = await this.live.ask(`v1/activity?${query}`);
      const gap = said.next && !said.activity.some((one) => this.ids.has(one.id)) && this.entries.length;
      if (gap) return this.anew();
      for (const entry of said.activity) this.#take(entry);
      this.show();
    } catch {
      // the link says that there is no answer
    }
  }

  async #read(since) {
    const query = new URLSearchParams({ since: new Date(since).toISOString(), limit: DAY_PAGE });
    for (let page = 0; page < DAY_PAGES; page += 1) {
      let said;
      try {
        said = await this.live.ask(`v1/activity?${query}`);
      } catch {
        return; // without a database the day is what the events tell
      }
      for (const entry of said.activity) this.history.add(entry);
      this.changed(null);
      if (!said.next) return;
      query.set("cursor", said.next);
    }
  }
}

/** Adds what is not there yet, in order; what is chosen stays. */
const choices = (select, values) => {
  const known = new Set([...select.options].map((one) => one.value));
  for (const value of values) {
    if (known.has(value)) continue;
    const after = [...select.options].slice(1).find((one) => one.value.localeCompare(value) > 0);
    select.insertBefore(el("option", { value }, value), after ?? null);
  }
};
