// A small client of the graph: operations by fetch, subscriptions by graphql-transport-ws with resuming.

const PATH = "/graphql";
const RENEW_BEFORE_SECONDS = 60;

export class Refused extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

export class Graph {
  constructor() {
    this.person = null;
    this.socket = null;
    this.followed = new Map();
    this.next = 1;
    this.pause = 500;
  }

  async login(email, password) {
    const entry = await this.ask(
      `mutation($email: String!, $password: String!) { login(email: $email, password: $password) {
        __typename ... on Authentication { accessToken refreshToken expiresIn user { id displayName } }
        ... on Error { code message } } }`,
      { email, password },
    );
    this.enter(entry);
    return this.person;
  }

  enter(entry) {
    this.person = { ...entry.user, token: entry.accessToken };
    this.renewal = entry.refreshToken;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.renew(), Math.max(5, entry.expiresIn - RENEW_BEFORE_SECONDS) * 1000);
    this.reconnect();
  }

  async renew() {
    try {
      this.enter(await this.ask(
        `mutation($token: String!) { refreshToken(refreshToken: $token) {
          __typename ... on Authentication { accessToken refreshToken expiresIn user { id displayName } }
          ... on Error { code message } } }`,
        { token: this.renewal },
      ));
    } catch {
      this.person = null;
      this.reconnect();
    }
  }

  // Executes an operation with one root field and gives its value; what the graph refuses is thrown.
  async ask(query, variables = {}) {
    const headers = { "content-type": "application/json", accept: "application/graphql-response+json, application/json" };
    if (this.person) headers.authorization = `Bearer ${this.person.token}`;
    const response = await fetch(PATH, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
    const answer = await response.json();
    const [value] = Object.values(answer.data ?? {});
    if (value === undefined || (value === null && answer.errors)) {
      const error = answer.errors?.[0];
      throw new Refused(error?.extensions?.code ?? "FAILED", error?.message ?? "Something went wrong.");
    }
    if (value?.code && value?.message) throw new Refused(value.code, value.message);
    return value;
  }

  // Follows a subscription until what it gives back is called; a lost connection is resumed after the last cursor.
  follow(query, variables, hear, fail = () => {}) {
    const id = String(this.next++);
    this.followed.set(id, { query, variables, hear, fail, cursor: null });
    if (this.socket?.acknowledged) this.begin(id);
    else this.connect();
    return () => {
      this.followed.delete(id);
      this.send({ id, type: "complete" });
    };
  }

  connect() {
    if (this.socket || !this.followed.size) return;
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${PATH}`;
    const socket = (this.socket = new WebSocket(address, "graphql-transport-ws"));
    socket.onopen = () =>
      this.send({
        type: "connection_init",
        payload: this.person ? { Authorization: `Bearer ${this.person.token}` } : {},
      });
    socket.onmessage = (event) => this.hear(socket, JSON.parse(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      setTimeout(() => this.connect(), this.pause);
      this.pause = Math.min(this.pause * 2, 10_000);
    };
  }

  reconnect() {
    const old = this.socket;
    this.socket = null;
    old?.close();
    this.connect();
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  begin(id) {
    const { query, variables, cursor } = this.followed.get(id);
    const resumed = cursor && query.includes("$after") ? { ...variables, after: cursor } : variables;
    this.send({ id, type: "subscribe", payload: { query, variables: resumed } });
  }

  hear(socket, message) {
    if (socket !== this.socket) return;
    const known = this.followed.get(message.id);
    if (message.type === "connection_ack") {
      socket.acknowledged = true;
      this.pause = 500;
      for (const id of this.followed.keys()) this.begin(id);
    } else if (message.type === "ping") {
      this.send({ type: "pong" });
    } else if (message.type === "next" && known) {
      const [value] = Object.values(message.payload.data ?? {});
      const refusal = message.payload.errors?.[0];
      if (value) {
        if (value.cursor) known.cursor = value.cursor;
        known.hear(value);
      } else if (refusal) {
        this.stop(message.id, known, refusal);
      }
    } else if (message.type === "error" && known) {
      this.stop(message.id, known, message.payload[0]);
    } else if (message.type === "complete") {
      this.followed.delete(message.id);
    }
  }

  stop(id, known, refusal) {
    if (refusal.extensions?.code === "FELL_BEHIND") return this.begin(id);
    this.followed.delete(id);
    known.fail(new Refused(refusal.extensions?.code ?? "FAILED", refusal.message));
  }
}
