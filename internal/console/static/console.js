"use strict";

// Every page works without this script. It adds keys, and keeps the live tail up to date.
(() => {
  const field = (id) => document.getElementById(id);
  const isTyping = (e) => e.closest("input, select, textarea, [contenteditable]") !== null;

  // j and k move between the rows, by the link that each of them begins with.
  const step = (by) => {
    const links = Array.from(document.querySelectorAll("table.records a.go"));
    if (links.length === 0) return;
    const row = document.activeElement.closest("tr");
    const at = row === null ? -1 : links.findIndex((a) => a.closest("tr") === row);
    const next = links[Math.min(Math.max(at + by, 0), links.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const act = {
      "/": () => field("find").focus(),
      f: () => { const form = field("filters"); if (form) form.querySelector("input").focus(); },
      j: () => step(1),
      k: () => step(-1),
      n: () => { const next = document.querySelector("a[rel=next]"); if (next) next.click(); },
    }[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  // A mark in a drawing leads to its row.
  for (const mark of document.querySelectorAll("[data-row]")) {
    mark.addEventListener("click", () => {
      const row = field(mark.dataset.row);
      if (row) row.querySelector("a").focus();
    });
  }

  const live = field("live");
  if (!live || !window.EventSource) return;
  const rows = field("rows"), state = field("state"), pause = field("pause"), most = 500;
  let held = [], paused = false, seen = 0, left = 0;
  field("controls").hidden = false;

  const say = (text) => { state.textContent = text; };
  const count = (n, noun) => n.toLocaleString("en-US") + " " + noun + (n === 1 ? "" : "s");

  const show = (message) => {
    const parsed = new DOMParser().parseFromString("<table><tbody>" + (message.rows || "") + "</tbody></table>", "text/html");
    const fresh = Array.from(parsed.querySelectorAll("tr")).filter((row) => !field(row.id)).map((row) => document.importNode(row, true));
    for (const row of fresh) row.classList.add("new");
    const focused = document.activeElement;
    rows.prepend(...fresh);
    for (const row of Array.from(rows.children).slice(most)) if (!row.contains(focused)) row.remove();
    if (field("none") && rows.children.length > 0) field("none").remove();
    seen += fresh.length;
    left += message.left || 0;
  };

  const told = () => "Watching. " + count(seen, "new record") + (left > 0 ? ", and " + count(left, "more record") + " not shown" : "") + ".";

  const take = (message) => {
    show(message);
    if (message.trouble) say(message.trouble);
    else if (message.skipped) say("The trail grows faster than this page shows. A search finds every record.");
    else if (message.lost) say("Some records were missed. Load the page again to see them.");
    else say(told());
  };

  const source = new EventSource(live.dataset.events);
  source.onopen = () => say(told());
  source.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (!paused) return take(message);
    if (held.length < 200) held.push(message);
    else left += message.count + (message.left || 0);
    const waiting = held.reduce((sum, one) => sum + one.count, 0);
    say("Paused. " + count(waiting, "record") + " waiting.");
  };
  source.onerror = () => say(source.readyState === EventSource.CLOSED
    ? "The console does not send any more. Load the page again."
    : "The connection is lost. Trying again.");

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (paused) return say("Paused.");
    const waiting = held;
    held = [];
    waiting.forEach(take);
    say(told());
  });
})();
