// Talks graphql-transport-ws through the real client, and prints what it heard as one JSON object.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const url = process.argv[2];
const heard = {};

const client = (options = {}) =>
  createClient({ url, webSocketImpl: WebSocket, retryAttempts: 0, ...options });

const collect = (of, request) =>
  new Promise((resolve) => {
    const results = [];
    of.subscribe(request, {
      next: (value) => results.push(value),
      error: (error) =>
        resolve({ results, error: Array.isArray(error) ? error : { code: error.code, reason: error.reason } }),
      complete: () => resolve({ results }),
    });
  });

const one = client({ connectionParams: { token: "t" } });
heard.query = await collect(one, { query: "{ hello }" });
heard.mutation = await collect(one, { query: "mutation { __typename }" });
heard.subscription = await collect(one, { query: "subscription { count(to: 3) }" });
heard.variables = await collect(one, {
  query: "query H($name: String!) { hello(name: $name) }",
  variables: { name: "you" },
});
heard.syntaxError = await collect(one, { query: "{" });
heard.unknownOperation = await collect(one, { query: "query A { hello }", operationName: "B" });
heard.coercion = await collect(one, { query: "query H($name: String!) { hello(name: $name) }" });
heard.resolverError = await collect(one, { query: "{ crash }" });
heard.brokenSource = await collect(one, { query: "subscription { breaking }" });
heard.parallel = await Promise.all([1, 2, 3].map((to) => collect(one, { query: `subscription { count(to: ${to}) }` })));

heard.iterated = [];
for await (const result of one.iterate({ query: "subscription { count(to: 1000, pause: 0.001) }" })) {
  heard.iterated.push(result.data.count);
  if (heard.iterated.length === 3) break;
}
heard.afterBreak = await collect(one, { query: "{ hello }" });
await one.dispose();

console.log(JSON.stringify(heard));
