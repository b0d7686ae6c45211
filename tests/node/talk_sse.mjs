// Talks GraphQL over SSE in distinct connections mode through the real client, and prints what it heard.
import { createClient } from "graphql-sse";

const client = createClient({ url: process.argv[2], singleConnection: false, retryAttempts: 0 });
const heard = {};

const collect = (request) =>
  new Promise((resolve) => {
    const results = [];
    client.subscribe(request, {
      next: (value) => results.push(value),
      error: (error) => resolve({ results, error: error.message }),
      complete: () => resolve({ results }),
    });
  });

heard.query = await collect({ query: "{ hello }" });
heard.subscription = await collect({ query: "subscription { count(to: 3) }" });
heard.syntaxError = await collect({ query: "{" });
heard.resolverError = await collect({ query: "{ crash }" });
heard.brokenSource = await collect({ query: "subscription { breaking }" });
heard.iterated = [];
for await (const result of client.iterate({ query: "subscription { count(to: 1000, pause: 0.001) }" })) {
  heard.iterated.push(result.data.count);
  if (heard.iterated.length === 3) break;
}
client.dispose();
console.log(JSON.stringify(heard));
