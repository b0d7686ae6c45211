// The list is read again and again, so that a message shows up while one looks.
const LOOK_AGAIN_MS = 2000;
const NAMES = { email: "E-mail", sms: "SMS", push: "Push", in_app: "In app" };
const part = (id) => document.getElementById(id);
const state = { messages: [], channel: "", words: "", open: location.hash.slice(1) };

const moment = (text) => new Date(text).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function entry(message) {
  const button = element("button", "", { type: "button", "aria-current": String(message.name === state.open) });
  button.append(
    element("strong", message.subject || "(no subject)"),
    element("span", message.to),
    element("span", NAMES[message.channel] ?? message.channel, { class: "channel" }),
    element("time", moment(message.at), { datetime: message.at }),
  );
  button.addEventListener("click", () => open(message.name));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function list() {
  const words = state.words.toLowerCase();
  const shown = state.messages.filter(
    (each) => (!state.channel || each.channel === state.channel) && `${each.to} ${each.subject}`.toLowerCase().includes(words),
  );
  part("messages").replaceChildren(...shown.map(entry));
  part("empty").hidden = shown.length > 0;
}

function channels() {
  const choices = [["", "All"], ...Object.entries(NAMES).filter(([key]) => key !== "in_app")];
  part("channels").replaceChildren(
    ...choices.map(([key, name]) => {
      const button = element("button", name, { type: "button", "aria-pressed": String(key === state.channel) });
      button.addEventListener("click", () => { state.channel = key; channels(); list(); });
      return button;
    }),
  );
}

function show(kind) {
  for (const each of ["html", "text"]) {
    part(each).hidden = each !== kind;
    part(`show-${each}`).setAttribute("aria-selected", String(each === kind));
  }
}

async function open(name) {
  const answer = await fetch(`/mailbox/messages/${encodeURIComponent(name)}`);
  if (!answer.ok) return;
  const message = await answer.json();
  state.open = name;
  history.replaceState(null, "", `#${name}`);
  part("hint").hidden = true;
  part("letter").hidden = false;
  part("subject").textContent = message.subject;
  part("to").textContent = message.to;
  part("channel").textContent = NAMES[message.channel] ?? message.channel;
  part("at").textContent = moment(message.at);
  part("at").dateTime = message.at;
  part("text").textContent = message.text;
  part("show-html").hidden = !message.hasHtml;
  if (message.hasHtml) part("html").src = `/mailbox/messages/${encodeURIComponent(name)}/html`;
  show(message.hasHtml ? "html" : "text");
  list();
}

async function look() {
  try {
    const answer = await fetch("/mailbox/messages");
    const messages = await answer.json();
    if (JSON.stringify(messages) !== JSON.stringify(state.messages)) { state.messages = messages; list(); }
    part("empty").hidden = part("messages").children.length > 0;
  } finally {
    setTimeout(look, LOOK_AGAIN_MS);
  }
}

part("search").addEventListener("input", (event) => { state.words = event.target.value; list(); });
part("show-html").addEventListener("click", () => show("html"));
part("show-text").addEventListener("click", () => show("text"));
channels();
look();
if (state.open) open(state.open);
