// Finds texts by all words of a query; Greek letters and their names are alike, as are minus signs.
const GREEK = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", eta: "η", theta: "θ", kappa: "κ",
  lambda: "λ", mu: "μ", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", omega: "ω",
};
const GREEK_NAME = new RegExp(`(?<![a-z])(${Object.keys(GREEK).join("|")})(?![a-z])`, "g");

function plainWords(text) {
  return text
    .toLowerCase()
    .replaceAll("\u2212", "-")
    .replace(/\s+/g, " ")
    .replace(GREEK_NAME, (name) => GREEK[name]);
}

// Half a name of a letter is found too, while it is typed.
function searchable(text) {
  let named = text.toLowerCase();
  for (const [name, letter] of Object.entries(GREEK)) named = named.replaceAll(letter, name);
  return `${named} ${plainWords(text)}`;
}

function hasAllWords(searchableText, query) {
  return plainWords(query).split(" ").every((word) => searchableText.includes(word));
}
