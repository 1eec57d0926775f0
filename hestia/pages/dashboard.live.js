// What the page knows of the gateway, and how old that is. Changes come as events; what has no events is asked for.

const HERE = new URL("../", document.baseURI);
const PATIENCE_MS = 10_000;
const ASLEEP_MS = 20_000;
const SLOW_MS = 10_000;
const PAUSE_HIDDEN_MS = 30_000;
/** How often, in seconds, while the page is looked at. */
const EVERY = { services: 5, machines: 10, inflight: 5, metrics: 10, report: 300, about: 60 };
const PATHS = {
  services: "v1/services",
  machines: "v1/machines",
  inflight: "v1/inflight",
  metrics: "v1/metrics",
  about: "dashboard/about.json",
};

/** A refusal of Hestia's, or that there was no answer, in words. */
export class Problem extends Error {
  constructor(detail, status = 0) {
    super(detail);
    this.status = status;
  }
}

export const address = (...parts) => parts.map(encodeURIComponent).join("/");

export class Live {
  constructor() {
    this.services = new Map();
    this.machines = [];
    this.inflight = [];
    this.metrics = null;
    this.samples = [];
    this.rates = null;
    this.report = null;
    this.about = null;
    this.reportSpan = "168h";
    this.state = "connecting"; // live, slow (no events come through), lost, out (the login has ended)
    this.failing = false;
    this.out = false;
    this.opened = 0; // how often the stream of events was opened
    this.refused = 0; // how often in a row it was not
    this.fresh = 0; // when the services were last told, by performance.now()
    this.ahead = 0; // how far the gateway's clock is ahead of ours, in milliseconds
    this.listeners = new Map();
    this.due = new Map();
    this.asking = new Set();
    this.dirty = new Set();
    this.retries = 0;
    this.caughtUp = 0;
    this.ticked = Date.now();
    this.hiddenTimer = 0;
    this.listenTimer = 0;
    this.source = null;
  }

  on(name, hear) {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), hear]);
  }

  tell(name, ...what) {
    for (const hear of this.listeners.get(name) ?? []) hear(...what);
  }

  now() {
    return Date.now() + this.ahead;
  }

  /** The list of services is what people come for: all else is asked for once it could be painted. */
  async begin() {
    this.#listen();
    setInterval(() => this.#tick(), 1000);
    addEventListener("online", () => this.again());
    document.addEventListener("visibilitychange", () => this.#seen());
    await this.refresh("services");
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (const what of Object.keys(EVERY)) if (what !== "services") this.refresh(what);
  }

  // --- asking

  async ask(path, { method = "GET", signal } = {}) {
    let answer;
    try {
      answer = await fetch(new URL(path, HERE), {
        method,
        headers: { Accept: "application/json" },
        cache: "no-store",
        redirect: "error",
        signal: signal ?? AbortSignal.timeout(PATIENCE_MS),
      });
    } catch (problem) {
      if (signal?.aborted) throw problem;
      throw new Problem("Hestia does not answer.");
    }
    this.#clock(answer.headers.get("Date"));
    if (!answer.ok) throw await this.#refusal(answer);
    try {
      return await answer.json();
    } catch {
      throw new Problem("The answer was broken off.");
    }
  }

  /** Start, stop and the like: the answer is how the thing is now. Raises Problem. */
  async act(path) {
    return this.ask(path, { method: "POST" });
  }

  async #refusal(answer) {
    let said = {};
    try {
      said = await answer.json();
    } catch {
      // no problem+json: a proxy between us answered
    }
    if (answer.status === 401) {
      this.out = true;
      this.#judge();
    }
    return new Problem(said?.detail || said?.title || `The answer was ${answer.status} ${answer.statusText}`.trim(), answer.status);
  }

  #clock(header) {
    const theirs = Date.parse(header ?? "");
    if (Number.isNaN(theirs)) return;
    const off = theirs + 500 - Date.now(); // the header has whole seconds
    this.ahead = Math.abs(off) < 2000 ? 0 : off;
  }

  /** Ask for one kind of things now. One question at a time for each. */
  async refresh(what) {
    if (this.asking.has(what)) return;
    this.asking.add(what);
    this.due.set(what, performance.now() + EVERY[what] * 1000);
    try {
      const path = what === "report" ? `v1/report${this.reportSpan ? `?since=${this.reportSpan}` : ""}` : PATHS[what];
      this.#take(what, await this.ask(path));
    } catch (problem) {
      this.#failed(what, problem);
    } finally {
      this.asking.delete(what);
    }
  }

  #take(what, said) {
    if (what === "services") {
      this.services = new Map(said.services.map((one) => [one.id, one]));
      this.#heard();
    } else if (what === "machines" || what === "inflight") this[what] = said[what];
    else if (what === "metrics") this.#measure(said);
    else this[what] = said;
    this.tell(what);
  }

  #failed(what, problem) {
    if (what !== "services" || problem.status === 401) return this.tell(`no ${what}`, problem);
    this.failing = true;
    this.due.set(what, performance.now() + Math.min(1000 * (this.retries += 1), 5000));
    this.#judge();
  }

  /** Requests a minute, out of counters: over the last minute, or as long as this page has looked. */
  #measure(said) {
    const now = performance.now();
    const of = (id) => said.services[id]?.requests ?? 0;
    this.samples = [...this.samples.filter((one) => now - one.at < 65_000), { at: now, said }];
    const first = this.samples[0];
    const minutes = (now - first.at) / 60_000;
    this.metrics = said;
    if (minutes < 0.1) return;
    // A counter that has fallen began anew with its gateway.
    this.rates = new Map(Object.keys(said.services).map((id) => [id, Math.max(0, of(id) - (first.said.services[id]?.requests ?? 0)) / minutes]));
  }

  /** Where services answer: at this address, or, when it is `admin_listen`, at the first of `listen`. */
  servicesAt() {
    const told = this.about?.services_at;
    if (!told) return HERE;
    const there = new URL(told);
    if (["0.0.0.0", "[::]"].includes(there.hostname)) there.hostname = location.hostname;
    return there;
  }

  began() {
    return this.about ? Date.parse(this.about.started) : 0;
  }

  // --- the link

  #heard() {
    const lost = this.failing || this.out;
    this.fresh = performance.now();
    this.retries = 0;
    this.failing = this.out = false;
    if (lost) this.again(); // the stream may be a dead one that nobody has noticed
    this.#judge();
  }

  #judge() {
    const open = this.source?.readyState === EventSource.OPEN;
    const state = this.out ? "out" : this.failing ? "lost" : !this.fresh ? "connecting" : open ? "live" : this.opened || this.refused ? "slow" : "connecting";
    if (state === this.state) return;
    this.state = state;
    this.tell("link");
  }

  /** A new stream, and everything asked anew. */
  again() {
    this.refused = 0;
    this.#listen();
    for (const what of Object.keys(EVERY)) this.due.set(what, 0);
  }

  /** What happened while no events came. */
  #catchUp() {
    this.caughtUp = performance.now();
    for (const what of Object.keys(EVERY)) this.due.set(what, 0);
    this.tell("again");
  }

  #listen() {
    clearTimeout(this.listenTimer);
    this.source?.close();
    const source = (this.source = new EventSource(new URL("v1/events", HERE)));
    source.onopen = () => {
      this.refused = 0;
      if ((this.opened += 1) > 1) this.#catchUp(); // the gateway may even be another one
      this.#judge();
    };
    source.onmessage = (message) => this.#happened(message.data);
    source.addEventListener("missed", () => this.#catchUp());
    source.onerror = () => {
      if (this.source !== source) return;
      this.refused += 1;
      this.refresh("services"); // is it the gateway that is gone?
      // A browser comes back by itself from a broken connection, but not from an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) this.listenTimer = setTimeout(() => this.out || this.#listen(), Math.min(2000 * this.refused, 30_000));
      this.#judge();
    };
  }

  #happened(data) {
    let entry;
    try {
      entry = JSON.parse(data);
    } catch {
      return;
    }
    if (!entry || typeof entry.kind !== "string") return;
    this.tell("entry", entry);
    if (entry.service) this.#soon(entry.service);
    if (entry.kind.startsWith("machine.") || entry.kind === "service.ready" || entry.kind === "service.stopped") this.due.set("machines", 0);
    if (entry.kind === "config.reloaded") for (const what of ["services", "about"]) this.due.set(what, 0);
  }

  /** Several events of one moment are one question. */
  #soon(id) {
    this.dirty.add(id);
    if (this.dirty.size === 1) setTimeout(() => this.#look(), 100);
  }

  async #look() {
    const ids = [...this.dirty];
    this.dirty.clear();
    if (ids.length > 3) return this.refresh("services");
    await Promise.all(ids.map((id) => this.look(id)));
  }

  async look(id) {
    try {
      this.became(await this.ask(`v1/services/${address(id)}/status`));
    } catch (problem) {
      if (problem.status === 404) this.due.set("services", 0);
    }
  }

  became(status) {
    if (!status?.id) return;
    this.services.set(status.id, status);
    this.tell("services");
  }

  // --- time

  #tick() {
    const now = performance.now();
    const wall = Date.now();
    if (!document.hidden && wall - this.ticked > ASLEEP_MS) this.again(); // this machine slept: a stream may look open that is dead
    this.ticked = wall;
    if (!document.hidden && !this.out) {
      for (const what of Object.keys(EVERY)) {
        if ((this.due.get(what) ?? 0) <= now && (!this.failing || what === "services")) this.refresh(what);
      }
      // Phases and how far a stop is have no events.
      if (!this.failing) for (const one of this.services.values()) if (one.state === "starting" || one.state === "stopping") this.#soon(one.id);
      if (this.state === "slow" && now - this.caughtUp > SLOW_MS) this.#catchUp();
    }
    this.tell("second");
  }

  /** A page that nobody looks at holds no connection: browsers have six for each host. */
  #seen() {
    clearTimeout(this.hiddenTimer);
    if (document.hidden) this.hiddenTimer = setTimeout(() => this.source?.close(), PAUSE_HIDDEN_MS);
    else if (this.out) this.refresh("services"); // perhaps somebody has logged in beside
    else if (this.source?.readyState === EventSource.CLOSED) this.again();
    else this.due.set("services", 0);
  }
}
