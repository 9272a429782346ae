// Filters the rows of the report by section and verdict. Without JavaScript every row is shown.
(() => {
  const form = document.getElementById("claims-filter");
  const rows = [...document.querySelectorAll("#claims-report tbody tr")];
  const count = document.getElementById("claims-shown");
  const apply = () => {
    const { section, verdict } = form.elements;
    let shown = 0;
    for (const row of rows) {
      const matches =
        (!section.value || row.dataset.section === section.value) &&
        (!verdict.value || row.dataset.verdict === verdict.value);
      row.hidden = !matches;
      shown += matches;
    }
    count.textContent = `${shown} of ${rows.length} claims shown`;
  };
  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
})();
