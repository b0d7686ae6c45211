// Shows one delivery: asked for once, and then followed while it happens.

import { follow } from "/track/assets/live.js";
import { DeliveryMap } from "/track/assets/map.js";

const FIELDS = `trackingNumber state mode carrier isArriving windowOpens windowCloses stopsBefore
  eta { earliest expected latest } driver { latitude longitude at } store { latitude longitude }
  destination { latitude longitude } steps { step at }`;
const ASK = `query Track($number: String!) { trackDelivery(trackingNumber: $number) { ${FIELDS} } }`;
const FOLLOW = `subscription Track($number: String!) { trackingUpdated(trackingNumber: $number) { ${FIELDS} } }`;

const HEADLINES = {
  PENDING: "Your order is being prepared",
  ASSIGNED: "A driver will bring it soon",
  PICKED_UP: "It has left the shelf",
  EN_ROUTE: "On its way to you",
  DELIVERED: "Delivered",
  FAILED: "We could not hand it over",
  RESCHEDULED: "We will come again",
  RETURNED_TO_STORE: "It is back in the store",
  CANCELLED: "This delivery was cancelled",
};
const STEPS = {
  created: "Order received",
  assigned: "Driver found",
  picked_up: "Picked up",
  started: "On the way",
  arriving: "Nearly there",
  delivered: "Delivered",
  failed: "Could not be handed over",
  rescheduled: "Moved to another time",
  returned_to_store: "Back in the store",
  cancelled: "Cancelled",
};
const MILESTONES = [
  ["Received", ["PENDING", "RESCHEDULED"]],
  ["Ready", ["ASSIGNED", "PICKED_UP"]],
  ["On the way", ["EN_ROUTE"]],
  ["Delivered", ["DELIVERED"]],
];
const OVER = new Set(["DELIVERED", "RETURNED_TO_STORE", "CANCELLED"]);

const part = (id) => document.getElementById(id);
const map = new DeliveryMap(part("map"));
const number = decodeURIComponent(location.pathname.split("/").pop() ?? "");
const tenant = new URLSearchParams(location.search).get("tenant");
let stop = null;

function time(moment) {
  return new Date(moment).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

function day(moment) {
  const [then, now] = [new Date(moment), new Date()];
  if (then.toDateString() === now.toDateString()) return "today";
  return then.toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" });
}

function headline(tracked) {
  if (tracked.isArriving) return "Nearly at your door";
  return HEADLINES[tracked.state] ?? tracked.state;
}

function detail(tracked) {
  if (tracked.eta) {
    const { earliest, latest } = tracked.eta;
    const stops = tracked.stopsBefore ? ` · ${tracked.stopsBefore} ${tracked.stopsBefore === 1 ? "stop" : "stops"} before you` : "";
    return time(earliest) === time(latest) ? `Expected at ${time(latest)}${stops}` : `Expected between ${time(earliest)} and ${time(latest)}${stops}`;
  }
  const last = tracked.steps.at(-1);
  if (OVER.has(tracked.state) && last) return `${day(last.at)}, ${time(last.at)}`.replace(/^./, (each) => each.toUpperCase());
  if (tracked.windowOpens && tracked.windowCloses) {
    return `Planned for ${day(tracked.windowOpens)}, ${time(tracked.windowOpens)} to ${time(tracked.windowCloses)}`;
  }
  return tracked.carrier ? `Sent by ${tracked.carrier}` : "";
}

function item(...children) {
  const made = document.createElement("li");
  made.append(...children);
  return made;
}

function text(name, content, className = "") {
  const made = document.createElement(name);
  made.textContent = content;
  if (className) made.className = className;
  return made;
}

function bar(tracked) {
  const reached = MILESTONES.findIndex(([, states]) => states.includes(tracked.state));
  part("bar").hidden = reached < 0;
  part("bar").replaceChildren(
    ...MILESTONES.map(([label], place) => {
      const made = item(text("span", label));
      made.className = place < reached ? "done" : place === reached ? "now" : "";
      if (place === reached) made.setAttribute("aria-current", "step");
      return made;
    }),
  );
}

function steps(tracked) {
  part("steps").replaceChildren(
    ...[...tracked.steps].reverse().map(({ step, at }) => {
      const when = text("time", `${day(at) === "today" ? "" : `${day(at)}, `}${time(at)}`);
      when.dateTime = at;
      return item(text("span", STEPS[step] ?? step), when);
    }),
  );
}

function show(tracked) {
  document.title = `${headline(tracked)} · ${tracked.trackingNumber}`;
  document.body.dataset.state = tracked.state.toLowerCase();
  part("number").textContent = tracked.trackingNumber;
  part("headline").textContent = headline(tracked);
  part("detail").textContent = detail(tracked);
  part("map-card").hidden = !map.draw(tracked);
  part("map-note").textContent = tracked.driver ? `The driver was here at ${time(tracked.driver.at)}.` : "";
  part("map-note").hidden = !tracked.driver;
  part("way-card").hidden = false;
  part("happened").hidden = !tracked.steps.length;
  bar(tracked);
  steps(tracked);
  part("page").removeAttribute("aria-busy");
  if (OVER.has(tracked.state) && stop) {
    stop();
    stop = null;
    tell("");
  }
}

function tell(state) {
  part("live").textContent = { live: "Live", waiting: "Reconnecting…" }[state] ?? "";
  part("live").dataset.state = state;
}

async function ask() {
  const headers = { "content-type": "application/json", accept: "application/json" };
  if (tenant) headers["x-agora-tenant"] = tenant;
  const body = JSON.stringify({ query: ASK, variables: { number } });
  const answer = await fetch("/graphql", { method: "POST", headers, body });
  return (await answer.json()).data?.trackDelivery ?? null;
}

async function begin() {
  part("number").textContent = number;
  const found = await ask().catch(() => undefined);
  if (!found) {
    part("headline").textContent = found === null ? "There is no such delivery" : "We cannot be reached at the moment";
    part("detail").textContent = found === null ? "Check the link in your message." : "Try again in a minute.";
    part("page").removeAttribute("aria-busy");
    return;
  }
  show(found);
  if (OVER.has(found.state)) return;
  stop = follow({
    query: FOLLOW,
    variables: { number },
    tenant,
    onValue: (data) => show(data.trackingUpdated),
    onState: tell,
  });
}

begin();
