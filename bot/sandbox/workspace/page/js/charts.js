// data_visualization as SVG, with its numbers in a table for those who cannot see it.

import { el, svg } from "./dom.js";

const WIDE = 520, HIGH = 200, LEFT = 44, BOTTOM = 26;
const colour = (n) => `var(--chart-${(n % 6) + 1})`;
const short = (n) => (Math.abs(n) >= 1000 ? n.toLocaleString(undefined, { notation: "compact" }) : String(Math.round(n * 100) / 100));

export function chart(block) {
  const body = block.chart;
  const pie = body.type === "pie";
  const series = pie ? body.segments.map((one) => one.label) : body.series.map((one) => one.name);
  return el("figure.chart", {},
    el("figcaption", {}, block.title),
    pie ? pieChart(body.segments, block.title) : axisChart(body, block.title),
    series.length > 1 || pie ? el("ul.legend", {}, series.map((name, n) => {
      const swatch = el("span.swatch");
      swatch.style.background = colour(n);
      return el("li", {}, swatch, name);
    })) : null,
    el("details", {}, el("summary", {}, "Show the numbers"), pie ? pieTable(body.segments) : axisTable(body)));
}

function axisChart(body, title) {
  const values = body.series.flatMap((one) => one.data.map((point) => point.value));
  const top = Math.max(0, ...values) || 1, low = Math.min(0, ...values);
  const count = body.axis_config.categories.length;
  const step = (WIDE - LEFT - 8) / Math.max(1, count);
  const y = (value) => HIGH - BOTTOM - ((value - low) / (top - low)) * (HIGH - BOTTOM - 12);
  const x = (n) => LEFT + step * (n + 0.5);
  const node = svg("svg", { viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${body.type} chart: ${title}` });
  for (const part of [0, 0.5, 1]) {
    const value = low + (top - low) * part;
    node.append(svg("line", { x1: LEFT, x2: WIDE - 4, y1: y(value), y2: y(value), class: "grid" }),
      text(LEFT - 6, y(value) + 4, short(value), "end"));
  }
  body.axis_config.categories.forEach((name, n) => {
    if (count <= 10 || n % 2 === 0) node.append(text(x(n), HIGH - 8, name.length * 6 > step ? name.slice(0, Math.max(3, step / 7)) + "…" : name, "middle"));
  });
  body.series.forEach((one, n) => node.append(...(body.type === "bar" ? bars(one, n, body.series.length, step, x, y) : curve(one, n, body.type, x, y))));
  return node;
}

function bars(one, n, many, step, x, y) {
  const width = Math.min(40, (step * 0.7) / many);
  return one.data.map((point, at) => {
    const left = x(at) - (width * many) / 2 + n * width;
    const bar = svg("rect", { x: left, y: Math.min(y(point.value), y(0)), width: width - 1, rx: 2, height: Math.max(1, Math.abs(y(point.value) - y(0))), fill: colour(n) });
    bar.append(svg("title", {}, `${one.name}, ${point.label}: ${point.value}`));
    return bar;
  });
}

function curve(one, n, kind, x, y) {
  const points = one.data.map((point, at) => `${x(at)},${y(point.value)}`);
  const line = svg("polyline", { points: points.join(" "), fill: "none", stroke: colour(n), "stroke-width": 2.5, "stroke-linejoin": "round" });
  if (kind !== "area") return [line];
  const floor = `${x(one.data.length - 1)},${y(0)} ${x(0)},${y(0)}`;
  return [svg("polygon", { points: `${points.join(" ")} ${floor}`, fill: colour(n), opacity: 0.25 }), line];
}

function pieChart(segments, title) {
  const total = segments.reduce((sum, one) => sum + one.value, 0) || 1;
  const node = svg("svg", { viewBox: "0 0 200 200", role: "img", "aria-label": `pie chart: ${title}`, class: "pie" });
  let turned = 0;
  segments.forEach((one, n) => {
    const share = one.value / total;
    const slice = svg("circle", { cx: 100, cy: 100, r: 45, fill: "none", stroke: colour(n), "stroke-width": 90, pathLength: 1,
      "stroke-dasharray": `${share} ${1 - share}`, transform: `rotate(${turned * 360 - 90} 100 100)` });
    slice.append(svg("title", {}, `${one.label}: ${one.value}`));
    node.append(slice);
    turned += share;
  });
  return node;
}

const text = (x, y, words, anchor) => svg("text", { x, y, "text-anchor": anchor }, words);

function axisTable(body) {
  return el("table", {}, el("thead", {}, el("tr", {}, el("th"), body.series.map((one) => el("th", { scope: "col" }, one.name)))),
    el("tbody", {}, body.axis_config.categories.map((name, n) =>
      el("tr", {}, el("th", { scope: "row" }, name), body.series.map((one) => el("td", {}, String(one.data[n]?.value ?? "")))))));
}

function pieTable(segments) {
  return el("table", {}, el("tbody", {}, segments.map((one) => el("tr", {}, el("th", { scope: "row" }, one.label), el("td", {}, String(one.value))))));
}
