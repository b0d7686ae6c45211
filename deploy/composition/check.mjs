// Reads {"before": SDL, "after": SDL, "allowed": ["Type.field", …], "documents": [text, …] or null} from standard input; writes one
// line for each change that breaks clients, and exits with 1 if there is one that is not allowed. Where documents are given, only
// what one of them uses breaks anybody.
import { CriticalityLevel, diff, DiffRule } from "@graphql-inspector/core";
import { buildSchema, getNamedType, isInputObjectType, parse, TypeInfo, visit, visitWithTypeInfo } from "graphql";
import { readFileSync } from "node:fs";

const { before, after, allowed, documents } = JSON.parse(readFileSync(0, "utf8"));
const old = buildSchema(before);
const used = documents === null ? null : usedBy(documents, old);
const rules = used === null ? [] : [DiffRule.considerUsage];
// True says that nobody would notice.
const checkUsage = async (entities) =>
  entities.map(({ type, field, argument }) => !used.has([type, field, argument].filter(Boolean).join(".")));
const changes = await diff(old, buildSchema(after), rules, { checkUsage });
const breaking = changes.filter(
  ({ criticality, path }) => criticality.level === CriticalityLevel.Breaking && !allowed.includes(path),
);
for (const { path, message } of breaking) process.stdout.write(`${path}: ${message}\n`);
process.exit(breaking.length > 0 ? 1 : 0);

/** The types, fields and arguments that the documents name. */
function usedBy(documents, schema) {
  const found = new Set();
  const types = new TypeInfo(schema);
  const add = (...path) => path.forEach((_, index) => found.add(path.slice(0, index + 1).join(".")));
  const visitor = {
    Field(node) {
      if (types.getParentType()) add(types.getParentType().name, node.name.value);
      if (types.getType()) add(getNamedType(types.getType()).name);
    },
    Argument(node) {
      const field = types.getFieldDef();
      if (field && types.getParentType()) add(types.getParentType().name, field.name, node.name.value);
    },
    VariableDefinition(node) {
      addInput(getNamedType(types.getInputType()), add, found);
    },
    ObjectField(node) {
      const parent = getNamedType(types.getParentInputType());
      if (isInputObjectType(parent)) add(parent.name, node.name.value);
    },
  };
  for (const text of documents) visit(parse(text), visitWithTypeInfo(types, visitor));
  return found;
}

/** A variable may hold every field of its type. */
function addInput(type, add, found) {
  if (!type || found.has(`${type.name}.*`)) return;
  add(type.name);
  found.add(`${type.name}.*`);
  for (const field of isInputObjectType(type) ? Object.values(type.getFields()) : []) {
    add(type.name, field.name);
    addInput(getNamedType(field.type), add, found);
  }
}
