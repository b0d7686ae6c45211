// Hive Gateway before the subgraphs: who is calling, for which tenant and in which language travels on.
//   agora supergraph --output supergraph.graphql
//   hive-gateway supergraph supergraph.graphql --config-path gateway.config.mjs
const forwarded = ["authorization", "x-agora-tenant", "accept-language"];

export const gatewayConfig = {
  propagateHeaders: {
    fromClientToSubgraphs: ({ request }) =>
      Object.fromEntries(forwarded.map((name) => [name, request.headers.get(name)]).filter(([, value]) => value)),
  },
  transportEntries: {
    "*.http": {
      options: {
        subscriptions: {
          kind: "ws",
          options: {
            connectionParams: {
              authorization: '{context.headers["authorization"]}',
              tenant: '{context.headers["x-agora-tenant"]}',
            },
          },
        },
      },
    },
  },
};
