// Draws store, door and driver without any map: a plane around the places, so that distances look right.

const WIDTH = 640;
const HEIGHT = 360;
const MARGIN = 64;
const METRES_PER_DEGREE = 111195;
const LEAST_SPAN_METRES = 600;
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// One scale for both directions; a degree of longitude shrinks with the cosine of the latitude.
function projection(places) {
  const latitudes = places.map((each) => each.latitude);
  const longitudes = places.map((each) => each.longitude);
  const middle = {
    latitude: (Math.min(...latitudes) + Math.max(...latitudes)) / 2,
    longitude: (Math.min(...longitudes) + Math.max(...longitudes)) / 2,
  };
  const shrink = Math.cos((middle.latitude * Math.PI) / 180);
  const metres = (place) => ({
    x: (place.longitude - middle.longitude) * METRES_PER_DEGREE * shrink,
    y: (place.latitude - middle.latitude) * METRES_PER_DEGREE,
  });
  const spanX = Math.max(LEAST_SPAN_METRES, 2 * Math.max(...places.map((each) => Math.abs(metres(each).x))));
  const spanY = Math.max(LEAST_SPAN_METRES, 2 * Math.max(...places.map((each) => Math.abs(metres(each).y))));
  const scale = Math.min((WIDTH - 2 * MARGIN) / spanX, (HEIGHT - 2 * MARGIN) / spanY);
  const at = (place) => {
    const { x, y } = metres(place);
    return { x: WIDTH / 2 + x * scale, y: HEIGHT / 2 - y * scale };
  };
  return { at, scale };
}

function niceLength(metres) {
  const power = 10 ** Math.floor(Math.log10(metres));
  return [5, 2, 1].map((each) => each * power).find((each) => each <= metres) ?? power;
}

function grid(scale) {
  const step = niceLength(140 / scale) * scale;
  const group = element("g", { class: "grid" });
  for (let x = (WIDTH / 2) % step; x < WIDTH; x += step) group.append(element("line", { x1: x, x2: x, y1: 0, y2: HEIGHT }));
  for (let y = (HEIGHT / 2) % step; y < HEIGHT; y += step) group.append(element("line", { x1: 0, x2: WIDTH, y1: y, y2: y }));
  return group;
}

// In the lower corner that is farther from everything that is drawn.
function ruler(scale, points) {
  const metres = niceLength(150 / scale);
  const length = metres * scale;
  const corners = [20, WIDTH - 20 - length];
  const room = (x) => Math.min(...points.map((each) => Math.hypot(each.x - x - length / 2, each.y - HEIGHT + 20)));
  const left = room(corners[0]) >= room(corners[1]) ? corners[0] : corners[1];
  const label = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
  const group = element("g", { class: "ruler", transform: `translate(${left} ${HEIGHT - 20})` });
  const text = element("text", { x: length / 2, y: -8, "text-anchor": "middle" });
  text.textContent = label;
  group.append(element("path", { d: `M0 -5 V0 H${length} V-5` }), text);
  return group;
}

function marker(kind, point, label) {
  const group = element("g", { class: `marker ${kind}`, transform: `translate(${point.x} ${point.y})` });
  const shape = kind === "store"
    ? element("rect", { x: -9, y: -9, width: 18, height: 18, rx: 5 })
    : element("path", { d: "M0 2 C-13 -12 -10 -26 0 -26 C10 -26 13 -12 0 2 Z" });
  const text = element("text", { y: kind === "store" ? 28 : 22, "text-anchor": "middle" });
  text.textContent = label;
  group.append(shape, text);
  if (kind === "door") group.append(element("circle", { cy: -16, r: 4 }));
  return group;
}

// A bend says that this is no street: nobody drives as the crow flies.
function bend(from, to) {
  const [dx, dy] = [to.x - from.x, to.y - from.y];
  const control = { x: (from.x + to.x) / 2 - dy * 0.18, y: (from.y + to.y) / 2 + dx * 0.18 };
  return `M${from.x} ${from.y} Q${control.x} ${control.y} ${to.x} ${to.y}`;
}

function van(point) {
  const group = element("g", { class: "van" });
  group.style.transform = `translate(${point.x}px, ${point.y}px)`;
  group.append(
    element("circle", { class: "halo", r: 24 }),
    element("circle", { class: "body", r: 15 }),
    element("path", { class: "sign", d: "M-8 -4 H2 V4 H-8 Z M2 -1.5 H6 L8 1.5 V4 H2 Z" }),
    element("circle", { class: "wheel", cx: -4.5, cy: 4.6, r: 1.9 }),
    element("circle", { class: "wheel", cx: 4.5, cy: 4.6, r: 1.9 }),
  );
  return group;
}

export class DeliveryMap {
  constructor(svg) {
    this.svg = svg;
    this.trail = [];
    this.van = null;
    this.frame = "";
  }

  // Says whether there is anything to draw.
  draw({ store, destination, driver }) {
    const fixed = [store, destination].filter(Boolean);
    if (!fixed.length) return false;
    if (driver) this.remember(driver);
    const places = [...fixed, ...this.trail];
    const { at, scale } = projection(places);
    const frame = JSON.stringify([store, destination, scale.toFixed(6), Boolean(driver)]);
    if (frame !== this.frame) this.van = null;
    this.frame = frame;
    const kept = this.van;
    this.svg.replaceChildren(grid(scale), ruler(scale, places.map(at)));
    if (store && driver) this.svg.append(element("path", { class: "ahead quiet", d: bend(at(store), at(this.trail[0])) }));
    if (this.trail.length > 1) {
      const points = this.trail.map((each) => { const p = at(each); return `${p.x},${p.y}`; }).join(" ");
      this.svg.append(element("polyline", { class: "trail", points }));
    }
    if (driver && destination) this.svg.append(element("path", { class: "ahead", d: bend(at(driver), at(destination)) }));
    else if (store && destination) this.svg.append(element("path", { class: "ahead quiet", d: bend(at(store), at(destination)) }));
    if (store) this.svg.append(marker("store", at(store), "Store"));
    if (destination) this.svg.append(marker("door", at(destination), "You"));
    if (driver) {
      this.van = kept ?? van(at(driver));
      this.svg.append(this.van);
      const { x, y } = at(driver);
      requestAnimationFrame(() => { this.van && (this.van.style.transform = `translate(${x}px, ${y}px)`); });
    }
    return true;
  }

  remember(place) {
    const last = this.trail.at(-1);
    if (!last || last.latitude !== place.latitude || last.longitude !== place.longitude) this.trail.push(place);
    if (this.trail.length > 200) this.trail.shift();
  }
}
