// Follows feeds through a client that people use (graphql-ws, Apollo or urql). Reads one JSON object from its first
// argument: {url, http, client, token, tenant, feeds: {name: {query, variables}}, mutations: [{query, variables}], events};
// prints one JSON object a line: {ready}, {heard, data} for every event, {answer, data} for every mutation.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const plan = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const fail = (error) => {
  say({ failed: String(error?.message ?? JSON.stringify(error)) });
  process.exit(1);
};

const sockets = createClient({
  url: plan.url,
  webSocketImpl: WebSocket,
  connectionParams: { accessToken: plan.token, tenant: plan.tenant },
});

// Each kind of client: subscribe({query, variables}, next) and run({query, variables}) -> data.
const kinds = {
  "graphql-ws": async () => ({
    subscribe: (request, next) =>
      sockets.subscribe(request, {
        next: (result) => (result.errors ? fail(result.errors) : next(result.data)),
        error: fail,
        complete: () => {},
      }),
    run: async (request) => {
      for await (const result of sockets.iterate(request)) return result.data;
    },
  }),
  apollo: async () => {
    const { ApolloClient, InMemoryCache, gql } = await import("@apollo/client");
    const { GraphQLWsLink } = await import("@apollo/client/link/subscriptions");
    const client = new ApolloClient({ link: new GraphQLWsLink(sockets), cache: new InMemoryCache() });
    return {
      subscribe: ({ query, variables }, next) =>
        client
          .subscribe({ query: gql(query), variables, fetchPolicy: "no-cache" })
          .subscribe({ next: (result) => (result.error ? fail(result.error) : next(result.data)), error: fail }),
      run: async ({ query, variables }) =>
        (await client.mutate({ mutation: gql(query), variables, fetchPolicy: "no-cache" })).data,
    };
  },
  urql: async () => {
    const { Client, fetchExchange, subscriptionExchange } = await import("@urql/core");
    const headers = { authorization: `Bearer ${plan.token}`, "x-agora-tenant": plan.tenant };
    const client = new Client({
      url: plan.http,
      preferGetMethod: false,
      fetchOptions: { headers },
      exchanges: [
        fetchExchange,
        subscriptionExchange({
          forwardSubscription: (request) => ({
            subscribe: (sink) => ({
              unsubscribe: sockets.subscribe({ ...request, query: request.query ?? "" }, sink),
            }),
          }),
        }),
      ],
    });
    return {
      subscribe: ({ query, variables }, next) =>
        client
          .subscription(query, variables)
          .subscribe((result) => (result.error ? fail(result.error) : next(result.data))),
      run: async ({ query, variables }) => {
        const result = await client.mutation(query, variables).toPromise();
        return result.error ? fail(result.error) : result.data;
      },
    };
  },
};

const client = await kinds[plan.client]();
let left = plan.events;
const done = new Promise((resolve) => {
  for (const [name, request] of Object.entries(plan.feeds)) {
    client.subscribe(request, (data) => {
      say({ heard: name, data });
      if (--left === 0) resolve();
    });
  }
});
say({ ready: true });
for await (const chunk of process.stdin) {
  // Whoever started this says when everything is being followed.
  if (String(chunk).includes("go")) break;
}
for (const request of plan.mutations) say({ answer: await client.run(request) });
await done;
await sockets.dispose();
process.exit(0);
