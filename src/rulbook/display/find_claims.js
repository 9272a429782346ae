// Sphinx shows a few words of each result, for which it fetches the page; a browser forbids that from disk.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// Shows on the page of the search which claims of the source match: its own index drops figures.
addEventListener("DOMContentLoaded", () => {
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  const results = document.getElementById("search-results");
  const found = CLAIMS.filter((claim) => hasAllWords(searchable(claim.join(" ")), query));
  if (!results || !query || !found.length) return;
  const element = (name, text, properties = {}) =>
    Object.assign(document.createElement(name), { textContent: text, ...properties });
  const section = element("section", "", { id: "claims-found" });
  const list = document.createElement("ul");
  for (const [id, printed, statement, verdict] of found.slice(0, 10)) {
    const item = document.createElement("li");
    const link = element("a", statement, { href: `report.html#claim-${id}` });
    item.append(link, ` Printed: ${printed}; ${verdict}.`);
    list.append(item);
  }
  // The report also looks into our own figures and the reasons, so that it may find more.
  const all = element("a", "More, and the reasons, in the report", {
    href: `report.html?${new URLSearchParams({ words: query })}`,
  });
  section.append(element("h2", "Claims of the source"), list, all);
  results.before(section);
});
