// How subscriptions travel to subgraphs: a WebSocket of their own for each, with the same proof as requests.
import { createGraphQLError } from "@graphql-tools/utils";
import { print } from "graphql";
import { createClient } from "graphql-ws";
import { WebSocket } from "ws";
import { relayed } from "./relaying.mjs";

const EXPIRED = 4403;

export const sockets = {
  getSubgraphExecutor({ transportEntry }) {
    const url = transportEntry.location.replace(/^http/, "ws");
    return ({ document, variables, operationName, context }) => {
      const headers = relayed(context.agora, "GET", url);
      const client = createClient({
        url,
        // A lost connection is the client's to know: it follows again after its own last cursor. Connecting again here would
        // ask for the events after the cursor that it began with.
        retryAttempts: 0,
        webSocketImpl: class extends WebSocket {
          constructor(address, protocols) {
            super(address, protocols, { headers });
          }
        },
      });
      return told(client.iterate({ query: print(document), variables, operationName }), context);
    };
  },
};

/** The events, and at last an error that clients understand where the connection was lost. */
function told(events, context) {
  let ended = false;
  const next = async () => {
    if (ended) return { done: true, value: undefined };
    try {
      return await events.next();
    } catch (problem) {
      ended = true;
      return { done: false, value: { errors: errorsOf(problem, context) } };
    }
  };
  return {
    next,
    return: () => events.return(),
    throw: (error) => events.throw(error),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function errorsOf(problem, context) {
  if (Array.isArray(problem)) {
    return problem.map((each) => createGraphQLError(each.message, { path: each.path, extensions: each.extensions }));
  }
  if (problem?.code === EXPIRED) {
    context.socket?.close(EXPIRED, problem.reason);
    return [createGraphQLError(problem.reason || "Unauthorized", { extensions: { code: "UNAUTHENTICATED" } })];
  }
  return [
    createGraphQLError("The connection to a part of the graph was lost; follow again after the last cursor.", {
      extensions: { code: "SUBGRAPH_UNAVAILABLE" },
    }),
  ];
}
