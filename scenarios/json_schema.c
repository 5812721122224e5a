#include "json_schema.h"

#include <string.h>

/* A text with a matrix value in it. */
#define VARIABLE "\\$\\{[A-Za-z0-9_]+\\}"
#define ID_PART "[a-z0-9][a-z0-9._-]*"

static json_t *schema_of(const struct schema_key *key, bool vars);

static json_t *string_of(const char *pattern)
{
    return json_pack("{ss ss}", "type", "string", "pattern", pattern);
}

static json_t *integer_of(const struct schema_key *key)
{
    return json_pack("{ss sI sI}", "type", "integer", "minimum", (json_int_t)key->min, "maximum",
                     (json_int_t)key->max);
}

static json_t *any_of(json_t *first, json_t *second)
{
    return json_pack("{s[oo]}", "anyOf", first, second);
}

static json_t *enum_of(const struct schema_key *key)
{
    json_t *values = json_array();
    for (size_t i = 0; key->values[i]; i++)
        json_array_append_new(values, json_string(key->values[i]));
    return json_pack("{so}", "enum", values);
}

static json_t *range_of(const struct schema_key *key, bool vars)
{
    const struct schema_key end = {.kind = SCHEMA_INT, .min = key->min, .max = key->max};
    json_t *ends = json_pack("{ss s{so so} sb si}", "type", "object", "properties", "min",
                             schema_of(&end, vars), "max", schema_of(&end, vars),
                             "additionalProperties", 0, "minProperties", 1);
    return any_of(integer_of(key), ends);
}

static json_t *list_of(const struct schema_key *key, bool vars)
{
    json_t *list = json_pack("{ss so}", "type", "array", "items", schema_of(key->item, vars));
    if (!(key->flags & SCHEMA_EMPTY_OK))
        json_object_set_new(list, "minItems", json_integer(1));
    return key->flags & SCHEMA_ONE_OK ? any_of(schema_of(key->item, vars), list) : list;
}

static json_t *named_of(const struct schema_key *key, bool vars)
{
    json_t *map = json_pack("{ss s{ss} so}", "type", "object", "propertyNames", "pattern",
                            "^[A-Za-z0-9_]+$", "additionalProperties", schema_of(key->item, vars));
    if (!(key->flags & SCHEMA_EMPTY_OK))
        json_object_set_new(map, "minProperties", json_integer(1));
    return map;
}

static json_t *map_of(const struct schema_key *key, bool vars)
{
    json_t *properties = json_object(), *required = json_array(), *one_of = json_array();
    json_t *map = json_pack("{ss so sb}", "type", "object", "properties", properties,
                            "additionalProperties", 0);
    for (const struct schema_key *child = key->keys; child->name; child++) {
        json_object_set_new(properties, child->name, schema_of(child, vars));
        if (child->flags & SCHEMA_REQUIRED)
            json_array_append_new(required, json_string(child->name));
        if (child->one_of)
            json_array_append_new(one_of, json_pack("{s[s]}", "required", child->name));
    }
    if (json_array_size(required))
        json_object_set(map, "required", required);
    if (json_array_size(one_of))
        json_object_set(map, "oneOf", one_of);
    json_decref(required);
    json_decref(one_of);
    return map;
}

static json_t *text_of(const struct schema_key *key)
{
    json_t *text = json_pack("{ss}", "type", "string");
    if (!(key->flags & SCHEMA_EMPTY_OK))
        json_object_set_new(text, "minLength", json_integer(1));
    return text;
}

/* What a key takes, without words about it. */
static json_t *type_of(const struct schema_key *key, bool vars)
{
    switch (key->kind) {
    case SCHEMA_INT: return integer_of(key);
    case SCHEMA_ENUM: return enum_of(key);
    case SCHEMA_ID:
        return string_of(key->flags & SCHEMA_SLASH ? "^" ID_PART "(/" ID_PART ")*$"
                                                   : "^" ID_PART "$");
    case SCHEMA_PATH: return string_of("^(/(?!\\.{1,2}(/|$))[^/]+)+$");
    case SCHEMA_MODE: return string_of("^[0-7]{4}$");
    case SCHEMA_SIZE:
        return any_of(
            json_pack("{ss si si}", "type", "integer", "minimum", 1, "maximum", 999999999),
            string_of("^[1-9][0-9]{0,8}(KiB|MiB|GiB)?$"));
    case SCHEMA_DATE: return string_of("^[0-9]{4}-[0-9]{2}-[0-9]{2}$");
    case SCHEMA_ANY:
        return json_pack("{s[sss] si}", "type", "string", "number", "boolean", "minLength", 1);
    case SCHEMA_BOOL: return json_pack("{ss}", "type", "boolean");
    case SCHEMA_RANGE: return range_of(key, vars);
    case SCHEMA_LIST: return list_of(key, vars);
    case SCHEMA_MAP: return map_of(key, vars);
    case SCHEMA_NAMED: return named_of(key, vars);
    default: return text_of(key);
    }
}

static bool takes_variable(const struct schema_key *key)
{
    return key->kind != SCHEMA_TEXT && key->kind != SCHEMA_RULE && key->kind != SCHEMA_ANY &&
           key->kind != SCHEMA_LIST && key->kind != SCHEMA_MAP && key->kind != SCHEMA_NAMED;
}

static json_t *default_of(const struct schema_key *key)
{
    int64_t number;
    if (key->kind == SCHEMA_INT && schema_parse_int(key->def, &number) == 0)
        return json_integer(number);
    if (key->kind == SCHEMA_BOOL)
        return json_boolean(!strcmp(key->def, "true"));
    return json_string(key->def);
}

static json_t *schema_of(const struct schema_key *key, bool vars)
{
    vars |= (key->flags & SCHEMA_VARS) != 0;
    json_t *schema = type_of(key, vars);
    if (vars && takes_variable(key))
        schema = any_of(schema, string_of(VARIABLE));
    if (key->doc)
        json_object_set_new(schema, "description", json_string(key->doc));
    if (key->def)
        json_object_set_new(schema, "default", default_of(key));
    return schema;
}

json_t *json_schema(const struct schema_key *root)
{
    json_t *schema = json_pack("{ss ss}", "$schema", "https://json-schema.org/draft/2020-12/schema",
                               "title", root->name);
    json_t *rest = schema_of(root, false);
    json_object_update(schema, rest);
    json_decref(rest);
    return schema;
}
