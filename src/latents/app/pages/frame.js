// What all pages do in the browser alone: their address, and what Quasar's sliders tell a screen reader.
window.latents = {
  pending: null,
  timer: null,
  isLong: false,
  // Browsers allow a few changes of the address a second.
  keep(link, jumps) {
    this.isLong = link === null;
    if (jumps) { this.flush(); history.pushState(history.state, "", location.pathname + "#" + (link ?? "")); return; }
    this.pending = link ?? "";
    this.timer ??= setTimeout(() => this.flush(), 250);
  },
  flush() {
    clearTimeout(this.timer);
    this.timer = null;
    if (this.pending !== null) history.replaceState(history.state, "", location.pathname + "#" + this.pending);
    this.pending = null;
  },
  copy() {
    this.flush();
    if (this.isLong) return emitEvent("copied", "long");
    navigator.clipboard.writeText(location.href).then(() => emitEvent("copied", "done"), () => emitEvent("copied", "refused"));
  },
};
addEventListener("popstate", () => emitEvent("address", location.hash.slice(1)));
// A file that is dropped beside where it is meant to go would take the place of the page.
for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());

// Quasar calls the whole of a slider one, and a part of it takes the keys: the part is told all, too.
const tellSliders = () => {
  for (const whole of document.querySelectorAll(".q-slider")) {
    const part = whole.querySelector("[tabindex]");
    if (!part) continue;
    part.setAttribute("role", "slider");
    whole.removeAttribute("role");
    for (const name of ["label", "valuemin", "valuemax", "valuenow", "orientation"]) {
      const value = whole.getAttribute("aria-" + name);
      if (value !== null && part.getAttribute("aria-" + name) !== value) part.setAttribute("aria-" + name, value);
    }
  }
};
new MutationObserver(tellSliders).observe(document.documentElement,
  { subtree: true, childList: true, attributeFilter: ["aria-valuenow"] });
