// Runs every audit of graphql-http against the URL given, and prints the outcome as one JSON object.
import { auditServer } from "graphql-http";

const results = await auditServer({ url: process.argv[2] });
const failed = results
  .filter((result) => result.status !== "ok")
  .map(({ id, name, status, reason }) => ({ id, name, status, reason }));
console.log(JSON.stringify({ audits: results.length, failed }));
