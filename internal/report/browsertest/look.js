// What a person would see at once: the faults of the page's layout, as texts.
(function () {
  "use strict";
  const faults = [];
  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + " " + JSON.stringify((e.textContent || "").trim().slice(0, 40));
  const visible = (e) => {
    const box = e.getBoundingClientRect();
    return box.width > 0 && box.height > 0 && e.checkVisibility({ visibilityProperty: true });
  };

  // None of these may lie on another, but for those that it is in. A text that goes on in the
  // next line has a box in each.
  function apart(what, elements) {
    const all = elements.filter(visible).map((e) => ({ e: e, boxes: Array.from(e.getClientRects()) }));
    for (let i = 0; i < all.length; i++) {
      for (let j = i + 1; j < all.length; j++) {
        if (all[i].e.contains(all[j].e) || all[j].e.contains(all[i].e)) {
          continue;
        }
        const common = all[i].boxes.flatMap((a) => all[j].boxes.map((b) => [
          Math.min(a.right, b.right) - Math.max(a.left, b.left),
          Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top),
        ])).find(([x, y]) => x > 1 && y > 1);
        if (common) {
          faults.push(what + ": " + name(all[i].e) + " lies on " + name(all[j].e) + " by " + common[0].toFixed(1) + " x " + common[1].toFixed(1));
        }
      }
    }
  }
  const within = (e, selector) => Array.from(e.querySelectorAll(selector));
  apart("sections", within(document, "header, section, footer"));
  apart("texts", within(document, "h1, h2, main p, dt, dd, summary:not(.scroll *), label, input, select, button, .legend li, .tile, .plot, .scroll, .rates .name, .rates .value, .rates svg, .who, svg.lane, svg.shares"));
  for (const chart of within(document, ".plot, .lanes")) {
    apart("labels", within(chart, "svg text, .who"));
  }
  for (const cells of within(document, "tr")) {
    apart("cells", within(cells, "th, td, td > *, th > *"));
  }

  // Nothing leaves the page sideways, but for what scrolls in a box of its own.
  if (document.documentElement.scrollWidth > innerWidth) {
    faults.push("the page scrolls sideways: " + document.documentElement.scrollWidth + " > " + innerWidth);
  }
  for (const e of within(document, "main *")) {
    const box = e.getBoundingClientRect();
    if (visible(e) && !e.closest(".scroll > *") && (box.left < -1 || box.right > innerWidth + 1)) {
      faults.push(name(e) + " leaves the page: " + box.left.toFixed(1) + " to " + box.right.toFixed(1));
    }
  }

  // Texts stand out from what they stand on: 4.5 to 1, as WCAG asks for.
  const channels = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor, parts = channels(colour);
      if (parts.length === 3 || parts[3] === 1) {
        return colour;
      }
    }
    return "rgb(255, 255, 255)";
  };
  const seen = new Set();
  for (const e of within(document, "main *")) {
    const says = Array.from(e.childNodes).some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim());
    if (!says || !visible(e) || e.tagName === "title" || e.tagName === "OPTION") {
      continue;
    }
    const style = getComputedStyle(e), ink = e.tagName === "text" ? style.fill : style.color, on = ground(e);
    const [low, high] = [light(ink), light(on)].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (!(ratio >= 4.5) && !seen.has(ink + on)) {
      seen.add(ink + on);
      faults.push(name(e) + " can hardly be read: " + ink + " on " + on + ", " + ratio.toFixed(2) + " to 1");
    }
  }
  return faults;
})();
