# A group version's OpenAPI document, as an API server answers it, to a line for each kind: file name, tab, JSON schema.
# Strict: what a schema does not name is not allowed, unless it says otherwise.
def strict:
  walk(
    if type == "object" and has("properties") and (has("additionalProperties") | not)
      and (.["x-kubernetes-preserve-unknown-fields"] | not) and (.properties | type == "object")
      # A property may itself be called "properties", as in the schema of a CustomResourceDefinition.
      and (.type == "object" or (has("type") | not))
    then .additionalProperties = false else . end
  );

# What CustomResourceDefinitions leave to this mark.
def int_or_string:
  walk(if type == "object" and .["x-kubernetes-int-or-string"] == true then .type = ["integer", "string"] else . end);

(.components.schemas | int_or_string | strict) as $schemas
| $schemas | to_entries[]
| .key as $name
| (.value["x-kubernetes-group-version-kind"] // [])[0]
| select(. != null)
| ([.kind | ascii_downcase] + (if .group == "" then [] else [.group | split(".")[0]] end) + [.version] | join("-"))
  + ".json\t"
  + ({"$ref": ("#/components/schemas/" + $name), components: {schemas: $schemas}} | tojson)
