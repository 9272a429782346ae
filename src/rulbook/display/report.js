// Filters the rows of the report; the filter stands in the address, so that Back brings it back.
// Without JavaScript every row is shown.
(() => {
  const form = document.getElementById("claims-filter");
  const rows = [...document.querySelectorAll("#claims-report tbody tr")];
  const texts = rows.map((row) => searchable([...row.cells].map((cell) => cell.textContent).join(" ")));
  const count = document.getElementById("claims-shown");
  const fields = ["words", "section", "verdict"].map((name) => form.elements[name]);

  const filter = () => {
    const [words, section, verdict] = fields.map((field) => field.value.trim());
    let shown = 0;
    rows.forEach((row, position) => {
      const matches =
        hasAllWords(texts[position], words) &&
        (!section || row.dataset.section === section) &&
        (!verdict || row.dataset.verdict === verdict);
      row.hidden = !matches;
      shown += matches;
    });
    count.textContent = `${shown} of ${rows.length} claims shown`;
  };
  const noteInAddress = () => {
    const chosen = fields.filter((field) => field.value).map((field) => [field.name, field.value]);
    const query = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
  };
  const takeFromAddress = () => {
    const asked = new URLSearchParams(location.search);
    for (const field of fields) field.value = asked.get(field.name) ?? "";
    filter();
  };
  const change = () => {
    filter();
    noteInAddress();
  };
  form.hidden = false;
  form.addEventListener("input", change);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(change));
  addEventListener("pageshow", takeFromAddress);
  takeFromAddress();
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();

  const address = (row) => new URL(`#${row.id}`, location.href.split(/[?#]/)[0]).href;
  const citation = (row) => {
    const [statement, printed, ours] = [...row.querySelectorAll("td")].map((cell) => cell.innerText.trim());
    const figures = [`printed: ${printed}`, ours && `ours: ${ours}`, row.dataset.verdict];
    const [, place] = statement.split("\n");
    const claim = `Claim ${row.id.replace("claim-", "")} (${place}); ${figures.filter(Boolean).join("; ")}.`;
    return `${claim} ${form.dataset.cited} ${address(row)}`;
  };
  const heard = Object.assign(document.createElement("span"), { className: "visually-hidden", role: "status" });
  form.append(heard);
  const tell = (button, kind, words) => {
    button.textContent = words;
    heard.textContent = words;
    setTimeout(() => {
      button.textContent = `copy ${kind}`;
      heard.textContent = "";
    }, 1500);
  };
  for (const row of navigator.clipboard ? rows : []) {
    const buttons = document.createElement("div");
    buttons.className = "claims-copy";
    for (const [kind, text] of [["link", address], ["citation", citation]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `copy ${kind}`;
      button.ariaLabel = `copy ${kind} of ${row.id.replace("claim-", "")}`;
      button.addEventListener("click", () => {
        const written = navigator.clipboard.writeText(text(row));
        written.then(() => tell(button, kind, "copied"), () => tell(button, kind, "not copied"));
      });
      buttons.append(button);
    }
    row.cells[0].append(buttons);
  }
})();
