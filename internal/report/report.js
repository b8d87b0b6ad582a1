// Filters the table of records. Without this the table is whole.
(function () {
  "use strict";
  const form = document.getElementById("filter");
  if (!form) {
    return; // a trail without records
  }
  const text = document.getElementById("filter-text");
  const byClass = document.getElementById("filter-class");
  const decision = document.getElementById("filter-decision");
  const count = document.getElementById("filter-count");
  const rows = Array.from(document.querySelectorAll("#records tbody tr"), function (row) {
    return { row: row, words: row.textContent.toLowerCase() };
  });

  function apply() {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const one of rows) {
      const fits =
        (!byClass.value || one.row.dataset.class === byClass.value) &&
        (!decision.value || one.row.dataset.decision === decision.value) &&
        wanted.every(function (word) {
          return one.words.includes(word);
        });
      one.row.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    count.textContent = shown === rows.length ? rows.length + " records" : shown + " of " + rows.length + " records";
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", function (event) {
    event.preventDefault(); // Enter in the text field
  });
  form.addEventListener("reset", function () {
    setTimeout(apply); // the fields are emptied after this event
  });
  text.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      form.reset();
    }
  });
  document.addEventListener("keydown", function (event) {
    const typing = event.target.matches("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      text.focus();
    }
  });

  form.hidden = false;
  apply();
})();
