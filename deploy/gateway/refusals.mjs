// The gateway's own refusals under the names that the graph gives them when it is served by one process.
import { createGraphQLError } from "@graphql-tools/utils";

const UNAVAILABLE = "SUBGRAPH_UNAVAILABLE";
const NAMES = {
  OPERATION_RESOLUTION_FAILURE: "UNKNOWN_OPERATION",
  INTERNAL_SERVER_ERROR: "INTERNAL",
  TIMEOUT_ERROR: "DEADLINE_EXCEEDED",
};

/** Names what a client is told; what has neither a name nor a path are variables that do not fit their types. */
export function named({ result }) {
  for (const error of result?.errors ?? []) {
    const extensions = (error.extensions ??= {});
    extensions.code = NAMES[extensions.code] ?? extensions.code ?? (error.path ? "INTERNAL" : "BAD_USER_INPUT");
    if (extensions.code === "INTERNAL") error.message = "Internal error";
  }
}

/**
 * Lets a refusal that took the whole answer of a subgraph stand for every field that the subgraph was asked for. The gateway
 * knows the one that it names, and would call the others internal errors.
 */
export function spread({ result, setResult }) {
  if (result.data == null && result.errors?.some((error) => error.path)) {
    setResult({ ...result, errors: result.errors.map(({ message, extensions }) => ({ message, extensions })) });
  }
}

/** Tells clients that a subgraph could not be asked, and the log why; what the subgraph itself says has no cause. */
export function reached({ subgraphName, executor, setExecutor, log }) {
  const unavailable = (cause) => {
    log?.error({ subgraph: subgraphName, cause: String(cause) }, "subgraph not reached");
    return { errors: [createGraphQLError("A part of the graph cannot be reached.", { extensions: { code: UNAVAILABLE } })] };
  };
  setExecutor(async (request) => {
    try {
      const result = await executor(request);
      const cause = result?.errors?.find((error) => error.originalError)?.originalError;
      return cause ? unavailable(cause) : result;
    } catch (error) {
      if (error?.extensions?.code === "TIMEOUT_ERROR") throw error;
      return unavailable(error);
    }
  });
}
