// src/lib/types.ts from docs/generated/openapi.json: the core's answers as TypeScript, so that no field is listed twice.
import { readFileSync, writeFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const api = JSON.parse(readFileSync(new URL("../../docs/generated/openapi.json", here), "utf8"));

function write(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(write).join(" | ");
  switch (schema.type) {
    case "string":
      return "string";
    case "integer":
    case "number":
      return "number";
    case "boolean":
      return "boolean";
    case "null":
      return "null";
    case "array":
      if (schema.prefixItems) return `[${schema.prefixItems.map(write).join(", ")}]`;
      return `(${schema.items ? write(schema.items) : "unknown"})[]`;
    case "object":
      if (schema.properties) return `{ ${fields(schema).join(" ")} }`;
      return `Record<string, ${schema.additionalProperties ? write(schema.additionalProperties) : "unknown"}>`;
    default:
      return "unknown";
  }
}

// The core always writes every field, whether or not a client may leave it out.
const fields = (schema) => Object.entries(schema.properties).map(([name, each]) => `${JSON.stringify(name)}: ${write(each)};`);

const lines = ["// Made by scripts/make-types.mjs from docs/generated/openapi.json, never by hand.", ""];
for (const [name, schema] of Object.entries(api.components.schemas)) {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) continue;
  lines.push(`export type ${name} = ${write(schema)};`);
}
writeFileSync(new URL("../src/lib/types.ts", here), lines.join("\n") + "\n");
