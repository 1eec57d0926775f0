// Hours asleep and what they saved; who wakes services, and who keeps them awake.

import { Table, at, clean, el, kept, put, shared } from "./dashboard.dom.js";
import { amount, hours, known, stamp, sum } from "./dashboard.words.js";

export class Savings {
  constructor(live) {
    this.live = live;
    this.words = el("p", { class: "lead" });
    this.services = table("Services", "No service is configured.");
    this.machines = table("Machines", "No machine but this one.");
    at("savings").querySelector(".body").append(this.words, this.services.node, el("h3", {}, "Machines"), this.machines.node);
    const choice = at("span");
    const last = kept.get("span");
    if ([...choice.options].some((one) => one.value === last)) choice.value = last;
    live.reportSpan = choice.value;
    choice.addEventListener("change", () => {
      kept.set("span", choice.value);
      live.reportSpan = choice.value;
      live.report = null;
      live.refresh("report");
    });
    live.on("report", () => this.update());
    live.on("no report", (problem) => put(this.words, `There is no report: ${problem.message}`));
  }

  update() {
    const report = this.live.report;
    const slept = [...report.services, ...report.machines].reduce((total, one) => total + (one.hours_asleep ?? 0), 0);
    const money = known(report.saving) ? ` That saved ${sum(report.saving)}; what ran cost ${sum(report.cost)}.` : " Give services or machines a cost_per_hour to see what that saves.";
    put(this.words, `Since ${stamp(report.since)}: ${hours(slept)} of sleep.${money}`);
    this.services.fill(report.services.map((one) => [one.id, one]));
    this.machines.fill(report.machines.map((one) => [one.id, one]));
  }
}

const table = (caption, empty) =>
  new Table(
    caption,
    [
      { name: caption.slice(0, -1), say: (one) => one.id, head: true },
      { name: "Asleep", number: true, node: () => shared(), fresh: asleep },
      { name: "Hot", number: true, say: (one) => hours(one.hours_hot) },
      { name: "Requests", number: true, say: (one) => amount(one.requests) },
      { name: "Starts", number: true, say: (one) => amount(one.starts) },
      { name: "Woken by", say: (one) => named(one.woken_by, (each) => `${each.who} (${each.starts}×)`) },
      { name: "Kept awake by", say: (one) => named(one.kept_awake_by, (each) => `${each.who} (${amount(each.hours)} h)`) },
      { name: "Cost", number: true, say: (one) => sum(one.cost) },
      { name: "Saved", number: true, say: (one) => sum(one.saving) },
    ],
    empty,
  );

const named = (rows, say) => (rows?.length ? rows.map(say).map(clean).join(", ") : "–");

const asleep = (node, one) => {
  const [words, track] = node.children;
  const whole = (one.hours_asleep ?? 0) + one.hours_hot;
  track.firstChild.style.width = `${whole && known(one.hours_asleep) ? (100 * one.hours_asleep) / whole : 0}%`;
  put(words, known(one.hours_asleep) ? hours(one.hours_asleep) : "only watched");
};
