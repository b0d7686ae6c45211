// Reads {"name": {"url": …, "sdl": …}} from standard input; writes the supergraph, or the errors and exit code 1.
import { composeServices } from "@theguild/federation-composition";
import { parse } from "graphql";
import { readFileSync } from "node:fs";

const subgraphs = JSON.parse(readFileSync(0, "utf8"));
const services = Object.entries(subgraphs).map(([name, { url, sdl }]) => ({ name, url, typeDefs: parse(sdl) }));
const result = composeServices(services);
const complaints = [...(result.errors ?? []), ...(result.hints ?? [])];
for (const complaint of complaints) {
  process.stderr.write(`${complaint.extensions?.code ?? "HINT"}: ${complaint.message}\n`);
}
if (!result.supergraphSdl || complaints.length > 0) {
  process.exit(1);
}
process.stdout.write(result.supergraphSdl);
