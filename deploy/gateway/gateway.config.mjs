// Hive Gateway before the subgraphs:
//   AGORA_ROUTER_SECRET=… hive-gateway supergraph supergraph.graphql --config-path gateway.config.mjs
// `make gateway` starts it with four groups of subgraphs; docs/distributed.md says what it hands on, and why it is believed.
import * as http from "@graphql-mesh/transport-http";
import { named, reached, spread } from "./refusals.mjs";
import { clientOf, millisecondsLeft, relayed } from "./relaying.mjs";
import { sockets } from "./sockets.mjs";

const production = process.env.AGORA_ENVIRONMENT === "production";
const origins = (process.env.AGORA_ALLOWED_ORIGINS ?? "").split(",").filter(Boolean);
const correlations = new WeakMap();

const relaying = {
  onContextBuilding({ context, extendContext }) {
    const agora = clientOf(context);
    correlations.set(context.request, agora.headers["x-correlation-id"]);
    extendContext({ agora });
  },
  onSubscribe({ args }) {
    args.contextValue.agora.follows = true;
  },
  onFetch({ url, options, executionRequest }) {
    const client = executionRequest?.context?.agora;
    if (client) Object.assign((options.headers ??= {}), relayed(client, options.method ?? "GET", url, options.body));
  },
  onSubgraphExecute(asked) {
    reached(asked);
    return spread;
  },
  onExecutionResult: named,
  onResponse({ request, response }) {
    const id = correlations.get(request);
    if (id) response.headers.set("x-correlation-id", id);
  },
};

export const gatewayConfig = {
  plugins: () => [relaying],
  transports: (kind) => (kind === "sockets" ? sockets : http),
  transportEntries: {
    "*.http": {
      options: {
        // Two clients may ask the same at once; what one is told is not for the other.
        deduplicateInflightRequests: false,
        subscriptions: { kind: "sockets" },
      },
    },
  },
  upstreamTimeout: ({ executionRequest }) => millisecondsLeft(executionRequest.context?.agora ?? { follows: true }),
  subgraphErrors: { errorCode: "SUBGRAPH_UNAVAILABLE", subgraphNameProp: false },
  cors: origins.length > 0 ? { origin: origins, credentials: true, exposedHeaders: ["x-correlation-id"] } : false,
  landingPage: !production,
  graphiql: !production,
  blockFieldSuggestions: production,
  ...(production ? { disableIntrospection: {} } : {}),
};
