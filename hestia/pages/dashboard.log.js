// The end of a service's log, and its lines as they come. One log at a time: each holds a connection.

import { clean, el, put, show } from "./dashboard.dom.js";
import { address } from "./dashboard.live.js";

const MOST = 1000; // lines that are shown
const FIRST = 200;
let open = null;

export class LogTail {
  constructor(id) {
    this.id = id;
    this.control = null;
    this.button = el("button", { type: "button", "aria-expanded": "false", onclick: () => (this.control ? this.stop() : this.follow()) }, "Show its log");
    this.words = el("p", { class: "soft", role: "status" });
    this.lines = el("pre", { class: "log", role: "log", "aria-live": "off", tabindex: "0", "aria-label": `Log of ${id}`, hidden: true });
    this.node = el("div", { class: "tail" }, this.button, this.words, this.lines);
  }

  stop(words = "") {
    this.control?.abort();
    this.control = null;
    if (open === this) open = null;
    put(this.button, "Show its log");
    this.button.setAttribute("aria-expanded", "false");
    show(this.lines, false);
    put(this.words, words);
  }

  async follow() {
    open?.stop();
    open = this;
    const control = (this.control = new AbortController());
    this.lines.replaceChildren();
    put(this.button, "Hide its log");
    this.button.setAttribute("aria-expanded", "true");
    put(this.words, "Reading…");
    try {
      const answer = await fetch(new URL(`../v1/services/${address(this.id)}/logs?follow=true&lines=${FIRST}`, document.baseURI), {
        headers: { Accept: "text/event-stream, application/problem+json" },
        cache: "no-store",
        signal: control.signal,
      });
      if (!answer.ok) return this.stop((await answer.json().catch(() => null))?.detail ?? `The answer was ${answer.status}.`);
      show(this.lines, true);
      put(this.words, "Following.");
      await this.#read(answer.body);
      if (this.control === control) put(this.words, "The log has ended. Hide it and show it again when the service runs.");
    } catch {
      if (this.control === control) put(this.words, "The connection to the log was lost.");
    }
  }

  /** Server-sent events by hand: an EventSource tells no reason when there is no log. */
  async #read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const pieces = (rest + value).split("\n");
      rest = pieces.pop();
      const lines = pieces.filter((piece) => piece.startsWith("data: ")).map(lineOf);
      if (lines.length) this.#add(lines.slice(-MOST));
    }
  }

  #add(lines) {
    const box = this.lines;
    const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
    box.append(...lines.map((line) => el("span", {}, `${line}\n`)));
    while (box.childElementCount > MOST) box.firstChild.remove();
    if (atEnd) box.scrollTop = box.scrollHeight;
  }
}

const lineOf = (piece) => {
  try {
    return clean(JSON.parse(piece.slice(6)).line);
  } catch {
    return "";
  }
};

export const closeLog = () => open?.stop();
