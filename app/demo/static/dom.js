// Small makers of elements, and the drawing of a result over time.

export const byId = (id) => document.getElementById(id);

export const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick" || name === "onchange" || name === "onsubmit") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
};

export const button = (label, onclick, attributes = {}) => element("button", { type: "button", onclick, ...attributes }, label);

const SVG = "http://www.w3.org/2000/svg";
const drawn = (tag, attributes) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

// Values from old to new as a line of 96 by 24; the last one marked.
export const sparkline = (points, label) => {
  const svg = drawn("svg", { viewBox: "0 0 96 24", class: "spark", role: "img", "aria-label": label });
  const numbers = points.map((point) => point.value);
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const days = points.map((point) => Date.parse(point.date));
  const across = (day) => 4 + (88 * (day - days[0])) / (days.at(-1) - days[0] || 1);
  const down = (value) => (high === low ? 12 : 20 - (16 * (value - low)) / (high - low));
  const places = points.map((point, place) => `${across(days[place]).toFixed(1)},${down(point.value).toFixed(1)}`);
  svg.append(drawn("polyline", { points: places.join(" ") }));
  const [x, y] = places.at(-1).split(",");
  svg.append(drawn("circle", { cx: x, cy: y, r: 2.5 }));
  return svg;
};
