#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../impl/plan.h"

/* %s in path stands for the plan's folder; error is a part of the text behind the file's name. */
struct row {
    const char *name;
    const char *json;
    enum label label;
    const char *path;
    const char *error;
};

#define BOTH "\"ca_cert\":\"e.pem\"},\"pipelock\":{\"ca_cert\":\"/p.pem\"}}"

static const struct row rows[] = {
    {"a route", "{\"egress\":{\"routes\":[\"a\"]," BOTH, LABEL_EGRESS, "%s/e.pem", NULL},
    {"routes of objects", "{\"egress\":{\"routes\":[{},{}]," BOTH, LABEL_EGRESS, "%s/e.pem", NULL},
    {"empty routes", "{\"egress\":{\"routes\":[]," BOTH, LABEL_PIPELOCK, "/p.pem", NULL},
    {"no routes", "{\"egress\":{" BOTH, LABEL_PIPELOCK, "/p.pem", NULL},
    {"null routes", "{\"egress\":{\"routes\":null," BOTH, LABEL_PIPELOCK, "/p.pem", NULL},
    {"no egress", "{\"pipelock\":{\"ca_cert\":\"d/p.pem\"}}", LABEL_PIPELOCK, "%s/d/p.pem", NULL},
    {"other keys", "{\"x\":1,\"pipelock\":{\"y\":[],\"ca_cert\":\"/p\"}}", LABEL_PIPELOCK, "/p",
     NULL},
    {"egress CA missing", "{\"egress\":{\"routes\":[1]},\"pipelock\":{\"ca_cert\":\"/p\"}}", 0,
     NULL, ": egress.ca_cert is missing, and with 1 route it is used"},
    {"pipelock CA missing", "{\"egress\":{\"ca_cert\":\"/e\"}}", 0, NULL,
     ": pipelock.ca_cert is missing, and with 0 routes"},
    {"empty CA path", "{\"pipelock\":{\"ca_cert\":\"\"}}", 0, NULL,
     ": pipelock.ca_cert is missing"},
    {"syntax", "{\n  \"egress\": }\n", 0, NULL, ":2:13: "},
    {"empty file", "", 0, NULL, ":1:0: "},
    {"second document", "{} {}", 0, NULL, ":1:4: "},
    {"duplicate key", "{\"egress\":{},\n\"egress\":{}}", 0, NULL, ":2:8: duplicate object key"},
    {"an array", "[]", 0, NULL, ": a plan must be an object"},
    {"egress is a string", "{\"egress\":\"x\"}", 0, NULL, ": egress must be an object"},
    {"routes is an object", "{\"egress\":{\"routes\":{}}}", 0, NULL,
     ": egress.routes must be an array"},
    {"ca_cert is a number", "{\"egress\":{\"ca_cert\":1}}", 0, NULL,
     ": egress.ca_cert must be a string"},
    {"the other ca_cert is wrong",
     "{\"egress\":{\"routes\":[1],\"ca_cert\":\"e\"},\"pipelock\":{\"ca_cert\":[]}}", 0, NULL,
     ": pipelock.ca_cert must be a string"},
};

static char folder[] = "/tmp/killpoint-plan-XXXXXX";
static char plan_path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(plan_path, sizeof plan_path, "%s/plan.json", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(plan_path);
    return rmdir(folder);
}

static void write_plan(const char *json)
{
    FILE *file = fopen(plan_path, "we");
    assert_non_null(file);
    fputs(json, file);
    fclose(file);
}

static void check_row(const struct row *row)
{
    CLEANUP(error_release) struct error error = {NULL};
    CLEANUP(plan_release) struct plan plan = {LABEL_EGRESS, NULL};
    write_plan(row->json);
    int ret = plan_load(plan_path, &plan, &error);
    if (row->error) {
        CLEANUP(free_text) char *start = format_text("%s%s", plan_path, row->error);
        if (ret != -EINVAL || strncmp(error.text, start, strlen(start)) != 0)
            fail_msg("%s: expected '%s', found %d '%s'", row->name, start, ret,
                     error.text ? error.text : "");
        assert_null(plan.cert_path);
        return;
    }
    if (ret != 0)
        fail_msg("%s: refused: %s", row->name, error.text);
    bool beside = strncmp(row->path, "%s", 2) == 0;
    CLEANUP(free_text)
    char *path = format_text("%s%s", beside ? folder : "", row->path + (beside ? 2 : 0));
    if (plan.label != row->label || strcmp(plan.cert_path, path) != 0)
        fail_msg("%s: found %s %s", row->name, label_name(plan.label), plan.cert_path);
}

static void plans_choose_a_ca_or_say_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

static void missing_plan_is_refused(void **state)
{
    (void)state;
    CLEANUP(error_release) struct error error = {NULL};
    struct plan plan;
    assert_int_equal(plan_load("/nonexistent/plan", &plan, &error), -ENOENT);
    assert_int_equal(plan_load(folder, &plan, &error), -EINVAL);
}

static void plan_in_the_working_folder_names_its_cert_as_it_stands(void **state)
{
    (void)state;
    CLEANUP(error_release) struct error error = {NULL};
    CLEANUP(plan_release) struct plan plan = {LABEL_EGRESS, NULL};
    write_plan("{\"pipelock\":{\"ca_cert\":\"d/p.pem\"}}");
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(plan_load("plan.json", &plan, &error), 0);
    assert_string_equal(plan.cert_path, "d/p.pem");
    assert_int_equal(chdir("/"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_choose_a_ca_or_say_what_is_wrong),
        cmocka_unit_test(missing_plan_is_refused),
        cmocka_unit_test(plan_in_the_working_folder_names_its_cert_as_it_stands),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
