// Runs before the first paint, so that a chosen theme does not flash.
(() => {
  "use strict";
  try {
    const chosen = localStorage.getItem("hestia.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // storage may be forbidden: then the system's scheme it is
  }
})();
