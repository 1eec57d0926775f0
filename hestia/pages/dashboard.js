// The dashboard: puts the parts together. Everything that is shown comes from the API, and stays current by its events.

import { Activity } from "./dashboard.activity.js";
import { askKeys, keysOn } from "./dashboard.dialogs.js";
import { Table, at, el, kept, put, show } from "./dashboard.dom.js";
import { History } from "./dashboard.history.js";
import { Live } from "./dashboard.live.js";
import { Machines } from "./dashboard.machines.js";
import { Savings } from "./dashboard.report.js";
import { Services } from "./dashboard.services.js";
import { Glance, Traffic } from "./dashboard.traffic.js";
import { clock, span } from "./dashboard.words.js";

const live = new Live();
const history = new History();
const services = new Services(live, history);
new Machines(live);
new Glance(live);
new Traffic(live);
new Savings(live);
const activity = new Activity(live, history, (id) => (id ? services.changed(id) : services.changedAll()));

// --- the link to the gateway

const WORDS = {
  connecting: () => "Connecting",
  live: () => "Live",
  slow: () => "No live events; asking every few seconds",
  lost: (age) => (age === null ? "No connection to Hestia. Trying again" : `Connection lost. This is ${age} old`),
  out: () => "Your login has ended",
};

const link = () => {
  const age = live.fresh ? span(Math.max(1, Math.round((performance.now() - live.fresh) / 1000))) : null;
  const words = WORDS[live.state](age);
  const badge = at("link");
  badge.dataset.link = live.state;
  // The badge speaks when the link changes, not each second.
  if (badge.dataset.said !== live.state) badge.setAttribute("aria-live", "polite");
  else badge.setAttribute("aria-live", "off");
  badge.dataset.said = live.state;
  put(badge, words);
  document.body.classList.toggle("stale", live.state === "lost" || live.state === "out");
  const hot = [...live.services.values()].filter((one) => one.state === "hot").length;
  document.title = live.state === "lost" ? "(lost) Hestia" : hot ? `(${hot}) Hestia` : "Hestia";
  banner();
};

let version = null;
const banner = () => {
  const box = at("banner");
  const kind = live.state === "out" ? "out" : version && live.about && live.about.version !== version ? "new" : "";
  show(box, Boolean(kind));
  if (box.dataset.kind === kind) return;
  box.dataset.kind = kind;
  const again = (word) => el("button", { type: "button", class: "strong", onclick: () => location.reload() }, word);
  if (kind === "out") box.replaceChildren(el("span", {}, "Your login has ended: what you see is no longer current. "), again("Log in"));
  else if (kind === "new") box.replaceChildren(el("span", {}, "Hestia has another version now. "), again("Reload this page"));
  else box.replaceChildren();
};

live.on("link", link);
live.on("second", link);
live.on("services", link);

// --- routes, strategies and the like, as they are loaded

const ways = at("ways").querySelector(".body");
const routes = new Table("Routes, in the order in which they are tried", [{ name: "What comes for", say: (one) => one.match, head: true }, { name: "goes to", say: (one) => one.to }], "No route is loaded.");
const strategies = new Table(
  "Strategies",
  [
    { name: "Strategy", say: (one) => one.name, head: true },
    { name: "Decides", say: (one) => one.kind },
    { name: "Used by", say: (one) => (one.used_by?.length ? one.used_by.join(", ") : "nobody") },
    { name: "State", say: (one) => (one.switched_off ? "switched off" : one.failures ? `${one.failures} failures` : "in order") },
    { name: "Last error", say: (one) => one.last_error },
  ],
  "No strategy is loaded.",
);
ways.append(routes.node, el("h3", {}, "Strategies"), strategies.node);
live.on("about", () => {
  const about = live.about;
  version ??= about.version;
  routes.fill((about.routes ?? []).map((one, index) => [index, one]));
  strategies.fill((about.strategies ?? []).map((one) => [`${one.kind} ${one.name} ${one.file}`, one]));
  put(at("about"), `Hestia ${about.version}, since ${clock(Date.parse(about.started), live.now())}${about.file ? `, ${about.file}` : ", without a file of its own"}`);
  show(at("logout"), Boolean(about.session));
  banner();
  services.changedAll();
});

// --- light and dark

const THEMES = ["system", "light", "dark"];
const theme = at("theme");
const themed = (chosen) => {
  if (chosen === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
  put(theme, `Theme: ${chosen}`);
};
theme.addEventListener("click", () => {
  const chosen = THEMES[(THEMES.indexOf(kept.get("theme") ?? "system") + 1) % THEMES.length];
  kept.set("theme", chosen);
  themed(chosen);
});
themed(THEMES.includes(kept.get("theme")) ? kept.get("theme") : "system");

// --- keys

at("keys").addEventListener("click", () => askKeys());
const step = (by) => {
  const rows = [...at("rows").children];
  if (!rows.length) return;
  const now = rows.indexOf(document.activeElement?.closest("li.service"));
  rows[now === -1 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, now + by))].focus();
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !keysOn() || document.querySelector("dialog[open]")) return;
  if (event.target.closest?.("input, select, textarea")) {
    if (event.key === "Escape" && event.target.id === "filter") event.target.blur();
    return;
  }
  const row = document.activeElement?.closest("li.service");
  const mine = row && [...services.rows.values()].find((one) => one.node === row);
  if (event.key === "/") at("filter").focus();
  else if (event.key === "?") askKeys();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (!mine?.press(event.key)) return;
  event.preventDefault();
});

// --- begin

live.begin().then(async () => {
  activity.anew();
  await activity.day();
  services.ready = true; // only now is it known that nothing has ever run
  services.update();
});
