// One service: what it does, its day, and what can be done about it.

import { announce, askHold, askStop, complain } from "./dashboard.dialogs.js";
import { Table, clean, el, fresh, mark, put, show } from "./dashboard.dom.js";
import { address } from "./dashboard.live.js";
import { LogTail } from "./dashboard.log.js";
import { Timeline } from "./dashboard.timeline.js";
import { PHASES, SIGNS, amount, bytes, clock, held, known, many, span, stamp } from "./dashboard.words.js";

const KEPT = { keep_warm: "its keep_warm window", busy: "work of its own" };
const SHOWN = 100; // stretches of the day in its table

export class Row {
  constructor(live, history, id) {
    this.live = live;
    this.history = history;
    this.id = id;
    this.status = null;
    this.asked = null; // what its operator wants it to be, until it is
    const title = fresh("service");
    this.sign = el("span", { class: "sign", "aria-hidden": "true" });
    this.word = el("span", { class: "word" });
    this.since = el("span", { class: "soft" });
    this.open = el("a", { class: "open", target: "_blank", rel: "noopener" }, id);
    this.why = el("p", { class: "why" });
    this.fill = el("span", { class: "fill" });
    this.bar = el("div", { class: "progress", role: "progressbar", "aria-label": `Start of ${id}`, "aria-valuemin": "0", "aria-valuemax": "100" }, this.fill);
    this.left = el("p", { class: "soft left" });
    this.figures = el("p", { class: "figures" });
    this.timeline = new Timeline(id);
    this.buttons = {
      Start: this.#button("Start", title, () => this.#do("start", "hot")),
      Retry: this.#button("Retry", title, () => this.#do("start", "hot")),
      Stop: this.#button("Stop", title, () => this.#stop()),
      Hold: this.#button("Hold", title, () => this.#hold()),
    };
    this.detail = el("div", { class: "detail", hidden: true });
    this.more = el("details", { ontoggle: () => this.#details() }, el("summary", { "aria-describedby": title }, "Details"));
    this.node = el(
      "li",
      { class: "service", tabindex: "-1", "aria-labelledby": title },
      el("div", { class: "who" }, el("div", { class: "head" }, el("h3", { id: title }, this.open), el("p", { class: "state" }, this.sign, this.word, " ", this.since)), this.why, this.bar, this.left),
      el("div", { class: "day" }, this.timeline.node),
      this.figures,
      el("div", { class: "actions" }, Object.values(this.buttons)),
      this.more,
      this.detail,
    );
  }

  #button(word, title, act) {
    const strong = word === "Start" || word === "Retry";
    return el("button", { type: "button", class: strong ? "strong" : null, "aria-describedby": title, onclick: (event) => this.#press(event.currentTarget, act) }, word);
  }

  /** A second press while the first is under way does nothing; the button stays where the focus is. */
  async #press(button, act) {
    if (button.ariaDisabled === "true") return;
    button.ariaDisabled = "true";
    try {
      await act();
    } finally {
      button.ariaDisabled = null;
    }
  }

  async #do(what, wanted, query = "") {
    try {
      this.asked = wanted;
      this.live.became(await this.live.act(`v1/services/${address(this.id)}/${what}${query}`));
    } catch (problem) {
      this.asked = null;
      complain(`${this.id} did not ${what}`, problem);
    }
  }

  /** Asked now: what the page knows of it may be some seconds old. */
  async #running() {
    if (["cold", "failed"].includes(this.status?.state)) return [];
    const all = await this.live.ask("v1/inflight").then((said) => said.inflight, () => this.live.inflight);
    return all.filter((one) => one.service === this.id);
  }

  async #stop() {
    const requests = await this.#running();
    if (requests.length && !(await askStop(this.id, requests))) return;
    await this.#do("stop", "cold");
  }

  async #hold() {
    const length = await askHold(this.id, await this.#running());
    if (length) await this.#do("stop", "cold", `?hold=${encodeURIComponent(length)}`);
  }

  press(key) {
    const found = { s: ["Start", "Retry"], x: ["Stop"], h: ["Hold"] }[key]?.map((word) => this.buttons[word]).find((one) => !one.hidden);
    if (found) found.click();
    else if (key === "o") this.open.click();
    else if (key === "d") this.more.open = !this.more.open;
    else return false;
    return true;
  }

  // --- what it shows

  update(status, metrics) {
    const was = this.status?.state;
    if (this.status !== status) this.toldAt = performance.now();
    this.status = status;
    this.metrics = metrics;
    this.#announce(was);
    mark(this.node, "data-state", status.state);
    mark(this.node, "data-held", status.held_until ? "yes" : null);
    put(this.sign, status.held_until && status.state === "cold" ? "‖" : (SIGNS[status.state] ?? "?"));
    put(this.word, status.state);
    mark(this.open, "href", this.#address());
    this.#offer(status);
    put(this.figures, this.#figures(status).join(" · "));
    this.second();
    if (this.more.open) this.#tell();
  }

  #announce(was) {
    const { state } = this.status;
    if (!was || was === state) return;
    if (state === this.asked || state === "failed") announce(`${this.id} is ${state}`);
    if (state === this.asked || state === "failed") this.asked = null;
  }

  #address() {
    return new URL(`services/${address(this.id)}/`, this.live.servicesAt());
  }

  #offer({ state, held_until: until }) {
    const offered = { cold: ["Start"], failed: ["Retry"], hot: ["Stop"], starting: ["Stop"], stopping: ["Start"] }[state] ?? [];
    for (const [word, button] of Object.entries(this.buttons)) {
      const yes = word === "Hold" || offered.includes(word);
      if (!yes && document.activeElement === button) this.node.focus({ preventScroll: true }); // not to the opposite button: Enter may come twice
      show(button, yes);
    }
    mark(this.buttons.Start, "title", until ? "ends its hold" : null);
  }

  #figures(status) {
    const woke = ["hot", "starting"].includes(status.state) && this.history.woke(this.id);
    const rate = this.live.rates?.get(this.id);
    return [
      status.machine ? `on ${status.machine}` : "",
      woke ? `woken by ${woke}` : "",
      status.leases ? many(status.leases, "lease") : "",
      status.waiters ? `${amount(status.waiters)} waiting` : "",
      known(rate) && (rate > 0 || status.state === "hot") ? `${amount(rate)}/min` : "",
      known(status.last_start_s) ? `last start ${span(status.last_start_s)}` : "",
    ].filter(Boolean);
  }

  /** What changes with time alone. */
  second() {
    const status = this.status;
    const now = this.live.now();
    const row = this.history.latest(this.id, status.state);
    const began = status.state === "hot" && status.hot_since ? Date.parse(status.hot_since) : row?.at;
    put(this.since, began ? `for ${span(Math.max(0, now - began) / 1000)}` : "");
    put(this.why, this.#why(status, row, now));
    const starting = status.state === "starting";
    show(this.bar, starting);
    show(this.left, starting);
    if (starting) this.#progress(status, began ? Math.max(0, now - began) / 1000 : null);
  }

  #why(status, row, now) {
    const said = [];
    if (status.held_until) said.push(held(status.held_until, now));
    if (status.state === "failed") {
      said.push(status.last_error ?? status.reason ?? "every attempt failed");
      if (status.cooldown_s) said.push(`tried again by the first request after ${span(Math.max(0, status.cooldown_s - this.#age()))}`);
    } else if (status.state === "starting") said.push([PHASES[status.phase] ?? status.phase, status.reason].filter(Boolean).join(": "));
    else if (status.state === "hot") said.push(...this.#awake(status));
    else if (status.state === "cold") {
      said.push(row?.why ?? status.reason ?? "");
      if (!row && status.last_error !== said.at(-1)) said.push(status.last_error);
    } else said.push(row?.why ?? "");
    return said.filter(Boolean).join(" · ");
  }

  #age() {
    return (performance.now() - this.toldAt) / 1000;
  }

  /** Who or what keeps it awake. */
  #awake(status) {
    const kept = (status.kept_by ?? []).map((one) => KEPT[one] ?? one);
    if (status.leases) return [`kept awake by ${[many(status.leases, "lease"), ...kept].join(", ")}`];
    if (!known(status.idle_timeout_s)) return ["only watched: Hestia neither starts nor stops it"];
    if (!status.managed) return ["ran already: it is not stopped when idle"];
    if (status.idle_timeout_s === 0) return ["no idle timeout: it stays awake"];
    if (!known(status.idle_for_s)) return [];
    const idle = status.idle_for_s + this.#age();
    const left = status.idle_timeout_s - idle;
    const next = kept.length ? `kept awake by ${kept.join(", ")}` : left > 0 ? `sleeps in ${span(Math.round(left))}` : "about to sleep";
    return [`idle for ${span(Math.round(idle))}, ${next}`];
  }

  #progress(status, gone) {
    const whole = status.expected_start_s;
    const percent = known(whole) && known(gone) && whole > 0 ? Math.min(95, Math.round((100 * gone) / whole)) : null;
    mark(this.bar, "aria-valuenow", percent);
    mark(this.bar, "data-unknown", percent === null ? "yes" : null);
    this.fill.style.width = percent === null ? "" : `${percent}%`;
    const left = percent === null ? null : whole - gone;
    const words =
      left === null
        ? `${known(gone) ? `${span(Math.round(gone))} so far` : ""}${known(whole) ? `, ${span(whole)} expected` : ", no earlier start to compare with"}`
        : left > 0.5
          ? `about ${span(Math.ceil(left))} left of ${span(whole)}`
          : `takes longer than usual (${span(whole)}): ${span(Math.round(gone))} so far`;
    put(this.left, words.replace(/^, /, ""));
    mark(this.bar, "aria-valuetext", words.replace(/^, /, ""));
  }

  draw(now) {
    this.stretches = this.history.stretches(this.id, now, this.status, this.live.began());
    this.timeline.draw(this.stretches, now);
    if (this.more.open && this.days) this.#days(now);
  }

  // --- details, made when they are first opened

  #details() {
    show(this.detail, this.more.open);
    if (!this.more.open) return this.log?.stop();
    if (!this.days) this.#build();
    this.#tell();
    this.#days(this.live.now());
  }

  #build() {
    const say = (name, value, more = {}) => ({ name, say: value, ...more });
    this.facts = el("dl", { class: "facts" });
    this.places = new Table("Places", [say("Place on", (one) => one.machine, { head: true }), say("State", (one) => one.state), say("Address", (one) => one.base_url), say("Leases", (one) => amount(one.leases), { number: true }), say("Reason", (one) => one.reason)], "No place.");
    this.days = new Table("States of the last 24 hours", [say("From", (one) => clock(one.from), { head: true }), say("For", (one) => span((one.to - one.from) / 1000), { number: true }), say("State", (one) => one.state), say("Why", (one) => [one.why, one.busy, one.kept && `kept awake by ${one.kept}`].filter(Boolean).join("; "))], "Nothing is known of the last 24 hours.");
    this.log = new LogTail(this.id);
    this.detail.append(this.facts, el("h4", {}, "Log"), this.log.node, el("h4", {}, "Places"), this.places.node, el("h4", {}, "The last 24 hours, newest first"), this.days.node);
  }

  #tell() {
    if (!this.days) return;
    const status = this.status;
    const of = this.live.report?.services?.find((one) => one.id === this.id);
    const metrics = this.metrics;
    const rows = [
      ["Address", status.base_url],
      ["Last used", status.last_used && stamp(status.last_used)],
      ["Idle timeout", known(status.idle_timeout_s) ? (status.idle_timeout_s ? span(status.idle_timeout_s) : "never") : null],
      ["Starts", amount(status.starts)],
      ["A start takes", known(status.expected_start_s) ? span(status.expected_start_s) : null],
      ["Last error", status.last_error],
      ["Mostly woken by", of?.woken_by?.map((one) => `${clean(one.who)} (${one.starts}×)`).join(", ")],
      ["Mostly kept awake by", of?.kept_awake_by?.map((one) => `${clean(one.who)} (${amount(one.hours)} h)`).join(", ")],
      ["Moved", metrics ? `${bytes(metrics.bytes_in)} in, ${bytes(metrics.bytes_out)} out` : null],
    ].filter(([, value]) => value);
    const text = JSON.stringify(rows);
    if (text !== this.told) this.facts.replaceChildren(...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
    this.told = text;
    this.places.fill((status.places ?? []).map((one, index) => [index, one]));
  }

  #days() {
    const newest = (this.stretches ?? []).slice(-SHOWN).reverse();
    this.days.fill(newest.map((one) => [one.from, one]));
  }
}
