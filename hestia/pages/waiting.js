(() => {
  "use strict";
  const at = (id) => document.getElementById(id);
  const page = at("page"), bar = at("bar"), fill = at("fill"), form = at("retry"), again = at("again"), cancel = at("cancel");
  // Without the fragment, and without a name and password, which fetch refuses.
  const here = location.origin + location.pathname + location.search;
  let timer = 0, asking = false, lost = 0;

  const put = (id, text) => {
    const one = at(id);
    if (one.textContent !== text) one.textContent = text; // a live region speaks at each change
  };

  const show = (told) => {
    const words = told.page;
    document.title = words.title;
    page.dataset.state = told.state;
    page.dataset.every = words.every_ms;
    for (const id of ["lead", "phase", "why", "left", "crowd"]) put(id, words[id]);
    at("why").hidden = !words.why;
    bar.hidden = told.state !== "starting";
    fill.setAttribute("class", words.percent === null ? "unknown" : "");
    fill.setAttribute("width", (words.percent ?? 30) + "%");
    if (words.percent === null) bar.removeAttribute("aria-valuenow");
    else bar.setAttribute("aria-valuenow", words.percent);
    if (words.left) bar.setAttribute("aria-valuetext", words.left);
    else bar.removeAttribute("aria-valuetext");
    form.hidden = !words.button;
    again.textContent = words.button;
    cancel.hidden = !words.cancel;
    again.disabled = cancel.disabled = false;
    at("log").hidden = !words.lines;
    put("lines", words.lines);
  };

  const ask = async (wish) => {
    if (asking) return;
    asking = true;
    clearTimeout(timer);
    try {
      const answer = await fetch(here, {
        method: wish ? "POST" : "GET",
        headers: { "Hestia-Wait": wish || "1", Accept: "application/json" },
        cache: "no-store",
        redirect: "manual",
        signal: AbortSignal.timeout(15000), // a look that hangs must not be the last
      });
      if (answer.status === 401 || answer.status === 404) return location.reload(); // a login, or nothing here any more
      const told = await answer.json();
      if (!told.page) throw told; // a refusal of Hestia's says why in its detail
      lost = 0;
      show(told);
      // The same URL, query and fragment, and the old page stays until the new one paints. The page itself is a GET.
      if (told.state === "hot") return location.reload();
    } catch (problem) {
      lost += 1;
      again.disabled = cancel.disabled = false;
      if (wish || lost > 2) put("phase", problem.detail || "No answer from Hestia. Trying again.");
    } finally {
      asking = false;
    }
    timer = setTimeout(ask, lost ? Math.min(1000 * lost, 5000) : Number(page.dataset.every));
  };

  const wish = (what) => {
    again.disabled = cancel.disabled = true;
    clearTimeout(timer);
    const send = () => (asking ? setTimeout(send, 50) : ask(what));
    send();
  };

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    wish("retry");
  });
  cancel.addEventListener("click", () => wish("cancel"));
  cancel.hidden = !cancel.dataset.may;
  document.addEventListener("visibilitychange", () => document.hidden || ask());
  timer = setTimeout(ask, Number(page.dataset.every));
})();
