// What goes through: the figures at a glance, the requests in flight, and what each service took.

import { askCancel, complain } from "./dashboard.dialogs.js";
import { Table, at, el, put, shared } from "./dashboard.dom.js";
import { address } from "./dashboard.live.js";
import { amount, bytes, known, many, span, stamp, sum } from "./dashboard.words.js";

export class Glance {
  constructor(live) {
    this.live = live;
    this.tiles = ["hot", "line", "rate", "overhead", "asleep"].map(() => {
      const value = el("strong");
      const words = el("span");
      return { value, words, node: el("p", { class: "tile" }, value, words) };
    });
    at("glance").append(...this.tiles.map((tile) => tile.node));
    for (const what of ["services", "metrics", "report", "inflight"]) live.on(what, () => this.update());
  }

  update() {
    const { services, rates, report, inflight } = this.live;
    const all = [...services.values()];
    const hot = all.filter((one) => one.state === "hot").length;
    const waiting = all.reduce((total, one) => total + (one.waiters ?? 0), 0);
    const rate = rates && [...rates.values()].reduce((total, one) => total + one, 0);
    const slept = report?.services?.reduce((total, one) => total + (one.hours_asleep ?? 0), 0);
    const overhead = this.#overhead();
    [
      [`${hot}/${all.length}`, "services are hot"],
      [amount(inflight.length), waiting ? `in flight, ${amount(waiting)} waiting` : "in flight, nobody waits"],
      [known(rate) ? amount(rate) : "–", "requests a minute"],
      [known(overhead) ? span(overhead) : "–", "Hestia's own part, p95"],
      [known(slept) ? `${amount(Math.round(slept))} h` : "–", known(report?.saving) ? `asleep, ${sum(report.saving)} saved` : "asleep"],
    ].forEach(([value, words], index) => {
      put(this.tiles[index].value, value);
      put(this.tiles[index].words, words);
    });
  }

  /** The p95 of the services by how many requests each had: close to that of all together. */
  #overhead() {
    const seen = Object.values(this.live.metrics?.services ?? {}).map((one) => one.overhead_seconds).filter((one) => one?.count && known(one.p95));
    const count = seen.reduce((total, one) => total + one.count, 0);
    return count ? seen.reduce((total, one) => total + one.p95 * one.count, 0) / count : null;
  }
}

export class Traffic {
  constructor(live) {
    this.live = live;
    this.inflight = new Table(
      "Requests in flight",
      [
        { name: "Service", say: (one) => one.service, head: true },
        { name: "Request", say: (one) => `${one.method} ${one.path}` },
        { name: "State", say: (one) => one.state },
        { name: "Since", say: (one) => `${stamp(one.since)} (${span(Math.max(0, Math.round((live.now() - Date.parse(one.since)) / 1000)))})` },
        { name: "", node: (one) => el("button", { type: "button", "aria-label": `Cancel ${one.method} ${one.path}`, onclick: () => this.#cancel(one) }, "Cancel") },
      ],
      "No request is in flight.",
    );
    at("inflight").querySelector(".body").append(this.inflight.node);
    this.table = this.#table();
    at("traffic").querySelector(".body").append(this.table.node, el("p", { class: "soft" }, "Counted since the gateway began. p50: half were faster; p95: 95 of 100 were."));
    live.on("inflight", () => this.inflight.fill(live.inflight.map((one) => [one.request_id, one])));
    live.on("metrics", () => this.update());
  }

  #table() {
    const figure = (name, say) => ({ name, say, number: true });
    const spread = (one, part) => (known(one?.[part]) ? span(one[part]) : "–");
    return new Table(
      "Traffic of each service",
      [
        { name: "Service", say: (one) => one.id, head: true },
        { name: "Requests", number: true, node: () => shared(), fresh: (node, one) => this.#share(node, one) },
        figure("A minute", (one) => amount(this.live.rates?.get(one.id))),
        figure("Errors", (one) => amount(one.errors)),
        figure("Time p50", (one) => spread(one.request_seconds, "p50")),
        figure("Time p95", (one) => spread(one.request_seconds, "p95")),
        figure("Overhead p95", (one) => spread(one.overhead_seconds, "p95")),
        figure("Starts", (one) => starts(one.starts)),
        figure("Start p50", (one) => spread(one.start_seconds, "p50")),
        figure("Start p95", (one) => spread(one.start_seconds, "p95")),
        figure("Line", (one) => amount(one.waiters)),
        figure("Out", (one) => bytes(one.bytes_out)),
      ],
      "No service, no traffic.",
    );
  }

  #share(node, one) {
    const [words, track] = node.children;
    track.firstChild.style.width = `${this.most ? (100 * one.requests) / this.most : 0}%`;
    put(words, amount(one.requests));
  }

  update() {
    const rows = Object.values(this.live.metrics?.services ?? {});
    this.most = Math.max(0, ...rows.map((one) => one.requests));
    rows.sort((one, other) => other.requests - one.requests || one.id.localeCompare(other.id));
    this.table.fill(rows.map((one) => [one.id, one]));
  }

  async #cancel(one) {
    if (!(await askCancel(one))) return;
    try {
      await this.live.act(`v1/inflight/${address(one.request_id)}/cancel`);
    } catch (problem) {
      complain("The request was not cancelled", problem);
    }
    this.live.refresh("inflight");
  }
}

const starts = (all) => {
  const count = (failed) => (all ?? []).filter((one) => (one.outcome === "failed") === failed).reduce((total, one) => total + one.count, 0);
  return count(true) ? `${amount(count(false))}, ${many(count(true), "failure")}` : amount(count(false));
};
