// Two parabolas with optima at 1 and −1 (§4.3): what a weighted sum selects, beside measured points.

/** θ = 2λ − 1 minimises λ(θ − 1)²/2 + (1 − λ)(θ + 1)²/2. */
const convexPoint = (weight) => {
  const theta = 2 * weight - 1;
  return [0.5 * (theta - 1) ** 2, 0.5 * (theta + 1) ** 2];
};
/** A quarter of a circle about the origin; a weighted sum is least at one of its ends. */
const concavePoint = (weight) => (weight > 0.5 ? [0, 2] : [2, 0]);

const view = (el, { weight }, { points }) => {
  const state = { weight };
  const axis = { range: [-0.1, 2.4], ticks: [0, 1, 2] };
  const fronts = {
    convex: panel({ title: "convex frontier", x: axis, y: axis, xlabel: "RUL loss, convex", ylabel: "health loss" }),
    concave: panel({ title: "concave frontier", x: axis, y: axis, xlabel: "RUL loss, concave", ylabel: "health loss" }),
  };
  const shares = Array.from({ length: 101 }, (_, i) => i / 100);
  const curves = {
    convex: shares.map(convexPoint),
    concave: shares.map((s) => [2 * Math.sin((s * Math.PI) / 2), 2 * Math.cos((s * Math.PI) / 2)]),
  };
  const selected = { convex: convexPoint, concave: concavePoint };
  const control = slider({
    label: "λ, the RUL weight", low: 0, high: 1, value: weight, step: 0.01,
    changed: (v) => { state.weight = v; draw(); },
  });
  const say = layout(el, {
    controls: [control.node],
    drawings: Object.values(fronts).map((front) => front.svg),
    legend: [
      ["frontier", COLOURS.rul, ""], ["same weighted sum", COLOURS.health, "6 3"],
      ...(points.length ? [["trained networks, each loss between its least and its largest", COLOURS.both, "1 5"]] : []),
    ],
  });
  const draw = () => {
    const w = state.weight;
    const told = [];
    for (const [name, front] of Object.entries(fronts)) {
      const [a, b] = selected[name](w);
      const sum = w * a + (1 - w) * b;
      front.clear();
      front.line(curves[name], COLOURS.rul);
      if (name === "convex") {
        for (const p of points) {
          front.dot(2 * p.rul, 2 * p.health, COLOURS.both,
            `trained at λ = ${number(p.weight)}: ${number(p.rul_loss)} cycles², ${number(p.health_loss)} nats`, 3);
        }
      }
      front.line(w < 1 ? [-1, 3].map((x) => [x, (sum - w * x) / (1 - w)]) : [[sum, -1], [sum, 3]],
        COLOURS.health, { dash: "6 3", wide: 1.2 });
      front.dot(a, b, COLOURS.health, `λ = ${number(w)}`, 7);
      told.push(`${name}: RUL loss ${number(a)}, health loss ${number(b)}`);
    }
    say(`λ = ${number(w)}. ${told.join("; ")}.`);
  };
  draw();
};
