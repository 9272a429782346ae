// What the explorers of formulas share: controls, panels with axes, and a line of text that says
// what is seen. Controls are the browser's own, so that keyboard and screen reader work.

const COLOURS = { rul: "#1b7fbd", health: "#d1590a", both: "#118a5f", limit: "#c62828" };
const SIZE = { width: 340, height: 210, left: 58, right: 18, top: 12, bottom: 40 };

const create = (tag, attributes = {}, ...children) => {
  const drawn = /^(svg|g|path|line|circle|rect|text|clipPath|defs|title)$/.test(tag);
  const node = drawn
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

const number = (value, digits = 3) => {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "undefined";
  const size = Math.abs(value);
  if (size === 0 || (size >= 1e-3 && size < 1e5)) return String(Number(value.toPrecision(digits))).replace("-", "−");
  const [factor, power] = value.toExponential(1).split("e");
  const raised = [...power.replace("+", "")].map((sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)]).join("");
  return `${factor === "1.0" ? "" : `${factor.replace("-", "−")} × `}10${raised}`;
};

/** A labelled range, on a logarithmic scale if asked; calls `changed` with its value. */
const slider = ({ label, low, high, value, step, logarithmic = false, shown = number, changed }) => {
  const inside = logarithmic ? Math.log10 : Number;
  const outside = (position) => (logarithmic ? 10 ** position : Number(position));
  const input = create("input", {
    type: "range", min: inside(low), max: inside(high), step: step ?? "any",
    "aria-label": label,
  });
  const output = create("output", { "aria-hidden": "true" });
  const say = () => {
    const text = shown(outside(input.value));
    output.textContent = text;
    input.setAttribute("aria-valuetext", text);
  };
  const set = (next) => {
    input.value = inside(next);
    say();
  };
  input.addEventListener("input", () => {
    say();
    changed(outside(input.value));
  });
  set(value);
  return { node: create("label", { class: "formula-slider" }, create("b", {}, label), input, output), set };
};

/** What makes a slider go through whole numbers. */
const WHOLE = { step: 1, shown: (value) => String(Math.round(value)) };

const button = (label, pressed) => {
  const node = create("button", { type: "button" }, label);
  node.addEventListener("click", pressed);
  return node;
};

/** Axes on which lines, dots and rules are drawn anew at every change. */
const panel = ({ title, x, y, xlabel, ylabel }) => {
  const { width, height, left, right, top, bottom } = SIZE;
  // Each explorer on a page runs a copy of this script, so that a counter of its own would repeat.
  const id = `formula-panel-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  const along = ({ range: [low, high], logarithmic }, from, to) => (value) => {
    const [a, b, c] = logarithmic
      ? [low, high, Math.max(value, 1e-300)].map(Math.log10)
      : [low, high, value];
    return from + ((Math.min(Math.max(c, a - (b - a)), b + (b - a)) - a) / (b - a)) * (to - from);
  };
  const across = along(x, left, width - right);
  const up = along(y, height - bottom, top);
  const svg = create("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const clip = create("clipPath", { id },
    create("rect", { x: left, y: top, width: width - left - right, height: height - top - bottom }));
  const drawing = create("g", { "clip-path": `url(#${id})` });
  const marks = create("g");
  const frame = create("g", { class: "formula-axes" });
  for (const tick of x.ticks) {
    frame.append(create("line", { x1: across(tick), x2: across(tick), y1: top, y2: height - bottom }));
    frame.append(create("text", { x: across(tick), y: height - bottom + 14, "text-anchor": "middle" }, number(tick)));
  }
  for (const tick of y.ticks) {
    frame.append(create("line", { x1: left, x2: width - right, y1: up(tick), y2: up(tick) }));
    frame.append(create("text", { x: left - 5, y: up(tick) + 4, "text-anchor": "end" }, number(tick)));
  }
  frame.append(create("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, xlabel));
  frame.append(create("text",
    { transform: `translate(12 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, ylabel));
  svg.append(create("defs", {}, clip), frame, drawing, marks);
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    const where = (client, start, length, full) => ((client - start) / length) * full;
    const back = ({ range: [low, high], logarithmic }, share) =>
      logarithmic ? low * (high / low) ** share : low + (high - low) * share;
    const px = where(event.clientX, box.left, box.width, width);
    const py = where(event.clientY, box.top, box.height, height);
    return [
      back(x, (px - left) / (width - left - right)),
      back(y, (height - bottom - py) / (height - top - bottom)),
    ];
  };
  return {
    svg,
    at,
    clear: () => [drawing, marks].forEach((layer) => layer.replaceChildren()),
    line: (points, colour, { dash = "", wide = 1.8 } = {}) => {
      const path = points
        .filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b))
        .map(([a, b], index) => `${index ? "L" : "M"}${across(a).toFixed(2)} ${up(b).toFixed(2)}`)
        .join("");
      drawing.append(create("path",
        { d: path, fill: "none", stroke: colour, "stroke-width": wide, "stroke-dasharray": dash }));
    },
    dot: (a, b, colour, label, radius = 5) =>
      marks.append(create("circle", { cx: across(a), cy: up(b), r: radius, fill: colour },
        create("title", {}, label))),
    write: (a, b, text, colour, anchor = "start") =>
      drawing.append(create("text", { x: across(a), y: up(b), fill: colour, "text-anchor": anchor }, text)),
  };
};

/** Sliders above, panels below, one line of text; what is said of it is read out if it is said aloud. */
const layout = (el, { controls, drawings, legend = [] }) => {
  const reading = create("p", { class: "formula-reading", "aria-live": "polite" });
  const keys = legend.map(([text, colour, dash]) => create("span", {},
    create("svg", { viewBox: "0 0 24 8", width: 24, height: 8, "aria-hidden": "true" },
      create("line", { x1: 0, x2: 24, y1: 4, y2: 4, stroke: colour, "stroke-width": 2, "stroke-dasharray": dash })),
    ` ${text}`));
  el.classList.add("formula");
  el.replaceChildren(
    create("div", { class: "formula-controls" }, ...controls),
    create("p", { class: "formula-legend" }, ...keys),
    create("div", { class: "formula-panels" }, ...drawings),
    reading,
  );
  return (text, { aloud = true } = {}) => {
    reading.setAttribute("aria-live", aloud ? "polite" : "off");
    reading.textContent = text;
  };
};
