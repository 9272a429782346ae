// Filters the rows of the report by words, section and verdict. Without JavaScript every row is shown.
(() => {
  const form = document.getElementById("claims-filter");
  const rows = [...document.querySelectorAll("#claims-report tbody tr")];
  const count = document.getElementById("claims-shown");
  const apply = () => {
    const { words, section, verdict } = form.elements;
    const wanted = words.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const matches =
        row.textContent.toLowerCase().includes(wanted) &&
        (!section.value || row.dataset.section === section.value) &&
        (!verdict.value || row.dataset.verdict === verdict.value);
      row.hidden = !matches;
      shown += matches;
    }
    count.textContent = `${shown} of ${rows.length} claims shown`;
  };
  form.hidden = false;
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
})();
