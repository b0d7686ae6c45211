"use strict";

// Starts GraphiQL on the endpoint that served the page; everything it needs comes from this server.
(() => {
  const { path, examples } = JSON.parse(document.getElementById("explorer").textContent);
  const url = new URL(path, window.location.href);
  const socketUrl = new URL(url);
  socketUrl.protocol = url.protocol === "https:" ? "wss:" : "ws:";

  // The headers tab is also what a subscription authenticates with: a browser cannot set headers on a WebSocket.
  const fetcher = (request, options) => {
    const wsClient = graphqlWs.createClient({
      url: socketUrl.href,
      connectionParams: () => options?.headers ?? {},
      retryAttempts: 2,
    });
    return GraphiQL.createFetcher({ url: url.href, wsClient })(request, options);
  };

  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    React.createElement(GraphiQL, {
      fetcher,
      defaultTabs: examples.length ? examples : undefined,
      defaultEditorToolsVisibility: "variables",
      shouldPersistHeaders: false,
    }),
  );
})();
