// The serious rules of axe-core that can apply to these pages, as texts of what breaks them.
// Contrast is also in look.js, for the content alone; here it is for the whole page.
(function () {
  "use strict";
  const faults = [];
  const all = (selector, root) => Array.from((root || document).querySelectorAll(selector));
  const name = (e) => e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + " " + JSON.stringify((e.textContent || "").trim().slice(0, 40));
  const report = (rule, e) => faults.push(rule + ": " + (e ? name(e) : "the page"));
  const visible = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length > 0;
  const text = (e) => (e.textContent || "").trim();
  const labelled = (e) => (e.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)).filter(Boolean).map(text).join(" ");
  const named = (e) => (e.getAttribute("aria-label") || labelled(e) || text(e) || e.getAttribute("title") || "").trim() !== "";
  const interactive = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";

  if (document.title.trim() === "") report("document-title");
  if (!/^[a-z]{2}(-[A-Z]{2})?$/.test(document.documentElement.lang)) report("html-lang");
  if (/user-scalable\s*=\s*no|maximum-scale\s*=\s*1/.test((document.querySelector("meta[name=viewport]") || {}).content || "")) report("meta-viewport");
  if (document.querySelector("meta[http-equiv=refresh]")) report("meta-refresh");

  const ids = new Map();
  for (const e of all("[id]")) {
    if (ids.has(e.id)) report("duplicate-id", e);
    ids.set(e.id, e);
  }
  for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls", "for"]) {
    for (const e of all("[" + attribute + "]")) {
      for (const id of e.getAttribute(attribute).split(/\s+/)) if (!ids.has(id)) report("idref " + attribute, e);
    }
  }

  for (const e of all("img")) if (!e.hasAttribute("alt")) report("image-alt", e);
  for (const e of all("svg")) {
    if (e.closest("[aria-hidden=true]") || e.parentElement.closest("svg")) continue;
    if (e.getAttribute("role") !== "img" || !(e.getAttribute("aria-label") || labelled(e))) report("svg-img-alt", e);
  }
  for (const e of all("input:not([type=hidden]), select, textarea")) {
    const label = Array.from(e.labels || []).map(text).join("");
    if (label === "" && !e.getAttribute("aria-label") && !labelled(e)) report("label", e);
  }
  for (const e of all("button")) if (!named(e)) report("button-name", e);
  for (const e of all("a[href]")) if (!named(e)) report("link-name", e);
  for (const e of all("summary")) if (text(e) === "") report("summary-name", e);

  if (all("main").length !== 1) report("landmark-one-main");
  if (all("body > header").length > 1 || all("body > footer").length > 1) report("landmark-no-duplicate");
  const landmarks = new Set();
  for (const e of all("nav, form, [role=search], [role=region], section[aria-label], section[aria-labelledby]")) {
    if (!visible(e)) continue;
    const key = (e.getAttribute("role") || e.tagName) + " " + (e.getAttribute("aria-label") || labelled(e));
    if (landmarks.has(key)) report("landmark-unique", e);
    landmarks.add(key);
  }
  for (const e of all("[role=region]")) if (!(e.getAttribute("aria-label") || labelled(e))) report("region-name", e);
  for (const e of all("body > *")) {
    if (visible(e) && text(e) !== "" && !e.matches("header, main, footer, nav, script, a.skip")) report("region", e);
  }
  const skip = document.querySelector("body > a[href^='#']");
  if (!skip || !document.querySelector(skip.getAttribute("href"))) report("skip-link");

  const headings = all("h1, h2, h3, h4, h5, h6").filter((e) => e.checkVisibility());
  if (headings.filter((e) => e.tagName === "H1").length !== 1) report("page-has-heading-one");
  let level = 0;
  for (const e of headings) {
    const own = Number(e.tagName[1]);
    if (own > level + 1) report("heading-order", e);
    if (text(e) === "") report("empty-heading", e);
    level = own;
  }

  for (const table of all("table")) {
    for (const e of all("th", table)) {
      if (!["row", "col"].includes(e.getAttribute("scope"))) report("th-scope", e);
      if (text(e) === "") report("empty-table-header", e);
    }
    if (all("thead th[scope=col]", table).length === 0) report("table-headers", table);
    const columns = all("thead th", table).length;
    for (const row of all("tbody tr", table)) if (row.children.length !== columns) report("td-headers", row);
    if (table.getAttribute("role") === "table") { // its display may change, and its roles must stay
      for (const [selector, roles] of [["tr", ["row"]], ["td", ["cell"]], ["th", ["columnheader", "rowheader"]], ["thead, tbody", ["rowgroup"]]]) {
        for (const e of all(selector, table)) if (!roles.includes(e.getAttribute("role"))) report("required-role", e);
      }
    }
  }
  for (const list of all("ul, ol")) for (const e of list.children) if (!e.matches("li, script, template")) report("list", e);
  for (const e of all("li")) if (!e.parentElement.matches("ul, ol")) report("listitem", e);
  for (const list of all("dl")) for (const e of list.children) if (!e.matches("div, dt, dd")) report("definition-list", e);
  for (const e of all("dt, dd")) if (!e.closest("dl")) report("dlitem", e);

  for (const e of all("[tabindex]")) if (e.tabIndex > 0) report("tabindex", e);
  for (const e of all("[accesskey]")) report("accesskeys", e);
  for (const e of all("[aria-hidden=true]")) if (e.matches(interactive) || e.querySelector(interactive)) report("aria-hidden-focus", e);
  for (const e of all("a[href], button, summary, [role=img]")) if (e.querySelector(interactive)) report("nested-interactive", e);
  for (const e of all("main *, main")) {
    const style = getComputedStyle(e);
    const scrolls = /auto|scroll/.test(style.overflowX + style.overflowY) && (e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1);
    if (scrolls && visible(e) && e.tabIndex < 0 && !e.querySelector(interactive)) report("scrollable-region-focusable", e);
  }
  for (const [attribute, values] of [["aria-current", ["page", "true"]], ["aria-pressed", ["true", "false"]], ["aria-live", ["polite"]]]) {
    for (const e of all("[" + attribute + "]")) if (!values.includes(e.getAttribute(attribute))) report("aria-valid-attr-value", e);
  }
  for (const e of all("p a[href]:not(.button)")) {
    if (visible(e) && text(e) !== text(e.closest("p")) && !getComputedStyle(e).textDecorationLine.includes("underline")) report("link-in-text-block", e);
  }
  for (const e of all("a[href], button, input:not([type=hidden]), select, summary")) { // WCAG 2.5.8, whose exception is a link within a text
    const box = e.getBoundingClientRect();
    if (visible(e) && !e.matches(".skip") && !e.closest("p, td, th, dd, dt, li") && (box.height < 16 || box.width < 16)) report("target-size", e);
  }

  const channels = (colour) => (colour.match(/[\d.]+/g) || []).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).slice(0, 3).map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor, parts = channels(colour);
      if (parts.length === 3 || parts[3] === 1) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const seen = new Set();
  const contrast = (e, ink, on, least, rule) => {
    const [low, high] = [light(ink), light(on)].sort((a, b) => a - b);
    if (!((high + 0.05) / (low + 0.05) >= least) && !seen.has(rule + ink + on)) {
      seen.add(rule + ink + on);
      faults.push(rule + ": " + name(e) + " " + ink + " on " + on);
    }
  };
  for (const e of all("body *")) {
    if (e.tagName === "OPTION" || e.tagName === "title" || !visible(e)) continue;
    if (Array.from(e.childNodes).some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim())) {
      const style = getComputedStyle(e);
      contrast(e, e.namespaceURI.endsWith("svg") ? style.fill : style.color, ground(e), 4.5, "color-contrast");
    }
  }
  for (const e of all("input:not([type=hidden])")) contrast(e, getComputedStyle(e, "::placeholder").color, ground(e), 4.5, "placeholder-contrast");
  return faults;
})();
