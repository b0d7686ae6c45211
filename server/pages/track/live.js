// Follows one subscription over graphql-transport-ws, and comes back by itself when the network does.

const FIRST_PAUSE = 1000;
const LONGEST_PAUSE = 20000;

export function follow({ query, variables, tenant, onValue, onState }) {
  let pause = FIRST_PAUSE;
  let ended = false;

  function open() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/graphql`, "graphql-transport-ws");
    const send = (message) => socket.send(JSON.stringify(message));
    socket.addEventListener("open", () => send({ type: "connection_init", payload: tenant ? { tenant } : {} }));
    socket.addEventListener("message", (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "connection_ack") {
        send({ id: "1", type: "subscribe", payload: { query, variables } });
        pause = FIRST_PAUSE;
        onState("live");
      } else if (message.type === "ping") {
        send({ type: "pong" });
      } else if (message.type === "next" && message.payload.data) {
        onValue(message.payload.data);
      } else if (message.type === "error" || message.type === "complete") {
        socket.close(1000);
      }
    });
    socket.addEventListener("close", () => {
      if (ended) return;
      onState("waiting");
      setTimeout(open, pause);
      pause = Math.min(LONGEST_PAUSE, pause * 2);
    });
    close = () => socket.close(1000);
  }

  let close = () => {};
  open();
  return () => {
    ended = true;
    close();
  };
}
