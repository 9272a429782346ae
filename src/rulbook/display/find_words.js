// Finds texts by all words of a query. Greek letters and their names are alike, and so are figures with
// and without commas between their thousands, minus and hyphen, × and x, and the micro sign and μ.
const GREEK = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", eta: "η", theta: "θ", kappa: "κ",
  lambda: "λ", mu: "μ", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", omega: "ω",
};
const GREEK_NAME = new RegExp(`(?<![a-z])(${Object.keys(GREEK).join("|")})(?![a-z])`, "g");
const ALIKE = { "\u2212": "-", "\u00d7": "x", "\u00b5": "\u03bc" };
const ALIKE_SIGN = new RegExp(Object.keys(ALIKE).join("|"), "g");
const THOUSANDS = /(?<![\d.,])\d{1,3}(?:,\d{3})+(?!,?\d|,$)/g;

const inSameSigns = (text) => text.toLowerCase().replace(ALIKE_SIGN, (sign) => ALIKE[sign]);

function plainWords(text) {
  return inSameSigns(text)
    .replace(THOUSANDS, (figure) => figure.replaceAll(",", ""))
    .replace(/\s+/g, " ")
    .replace(GREEK_NAME, (name) => GREEK[name]);
}

// Half a name of a letter or half a figure is found too, while it is typed.
function searchable(text) {
  let named = inSameSigns(text);
  for (const [name, letter] of Object.entries(GREEK)) named = named.replaceAll(letter, name);
  return `${named} ${plainWords(text)}`;
}

function hasAllWords(searchableText, query) {
  return plainWords(query).split(" ").every((word) => searchableText.includes(word));
}
