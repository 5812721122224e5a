#include "plan.h"

#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "file.h"

const char *label_name(enum label label)
{
    return label == LABEL_EGRESS ? "egress" : "pipelock";
}

static void free_json(json_t **json)
{
    json_decref(*json);
}

/* Finds a member of the given type; *ret_value is NULL when it is absent or null. */
static int member(const char *path, const char *prefix, const json_t *object, const char *key,
                  json_type type, const json_t **ret_value, struct error *error)
{
    static const char *const words[] = {
        [JSON_OBJECT] = "an object", [JSON_ARRAY] = "an array", [JSON_STRING] = "a string"};
    const json_t *value = json_object_get(object, key);
    if (value && !json_is_null(value) && json_typeof(value) != type)
        return error_set(error, EINVAL, "%s: %s%s must be %s", path, prefix, key, words[type]);
    *ret_value = value && !json_is_null(value) ? value : NULL;
    return 0;
}

/* One half of the plan; what it does not say is NULL. */
struct half {
    const json_t *routes;
    const json_t *ca_cert;
};

static int read_half(const char *path, const json_t *root, enum label label, struct half *half,
                     struct error *error)
{
    const json_t *object = NULL;
    const char *prefix = label == LABEL_EGRESS ? "egress." : "pipelock.";
    int ret = member(path, "", root, label_name(label), JSON_OBJECT, &object, error);
    if (ret == 0 && label == LABEL_EGRESS)
        ret = member(path, prefix, object, "routes", JSON_ARRAY, &half->routes, error);
    if (ret == 0)
        ret = member(path, prefix, object, "ca_cert", JSON_STRING, &half->ca_cert, error);
    return ret;
}

static char *beside(const char *plan_path, const char *cert_path)
{
    const char *slash = strrchr(plan_path, '/');
    int folder_len = slash && cert_path[0] != '/' ? (int)(slash - plan_path) + 1 : 0;
    return format_text("%.*s%s", folder_len, plan_path, cert_path);
}

int plan_load(const char *path, struct plan *ret_plan, struct error *error)
{
    CLEANUP(free_text) char *data = NULL;
    size_t len = 0;
    int ret = file_read(path, &data, &len, error);
    if (ret < 0)
        return ret;
    json_error_t bad;
    CLEANUP(free_json) json_t *root = json_loadb(data, len, JSON_REJECT_DUPLICATES, &bad);
    if (!root)
        return error_set(error, EINVAL, "%s:%d:%d: %s", path, bad.line, bad.column, bad.text);
    if (!json_is_object(root))
        return error_set(error, EINVAL, "%s: a plan must be an object", path);

    struct half halves[2] = {{NULL, NULL}, {NULL, NULL}};
    for (enum label l = LABEL_EGRESS; l <= LABEL_PIPELOCK; l++)
        if ((ret = read_half(path, root, l, &halves[l], error)) < 0)
            return ret;
    size_t routes = json_array_size(halves[LABEL_EGRESS].routes);
    enum label label = routes > 0 ? LABEL_EGRESS : LABEL_PIPELOCK;
    const char *cert_path = json_string_value(halves[label].ca_cert);
    if (!cert_path || !*cert_path)
        return error_set(error, EINVAL,
                         "%s: %s.ca_cert is missing, and with %zu route%s it is used", path,
                         label_name(label), routes, routes == 1 ? "" : "s");
    ret_plan->label = label;
    ret_plan->cert_path = beside(path, cert_path);
    return 0;
}

void plan_release(struct plan *plan)
{
    free_text(&plan->cert_path);
}
