#include "audit_cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "audit.h"
#include "cmdline.h"

#define NAME "killpoint audit"
#define MAX_PEM_BYTES ((size_t)1 << 20)

struct options {
    const char *root, *ca, *ca_key, *ca_path, *bundle;
    bool json;
};

/* Beyond the characters: no short forms. */
enum { OPT_ROOT = 256, OPT_CA, OPT_CA_KEY, OPT_CA_PATH, OPT_BUNDLE, OPT_JSON };

static const struct argp_option option_table[] = {
    {"root", OPT_ROOT, "DIR", 0, "The root of the Debian tree to audit; / for this machine", 0},
    {"ca", OPT_CA, "FILE", 0, "The CA certificate as it was sent to the guest", 0},
    {"ca-key", OPT_CA_KEY, "FILE", 0, "Its private key, for the TLS handshakes", 0},
    {"ca-path", OPT_CA_PATH, "PATH", 0, "Where the guest keeps it (" AUDIT_CA_PATH ")", 0},
    {"bundle", OPT_BUNDLE, "PATH", 0, "The guest's bundle (" AUDIT_BUNDLE ")", 0},
    {"json", OPT_JSON, NULL, 0, "One JSON object instead of the table", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case OPT_ROOT: options->root = arg; return 0;
    case OPT_CA: options->ca = arg; return 0;
    case OPT_CA_KEY: options->ca_key = arg; return 0;
    case OPT_CA_PATH: options->ca_path = arg; return 0;
    case OPT_BUNDLE: options->bundle = arg; return 0;
    case OPT_JSON: options->json = true; return 0;
    case ARGP_KEY_ARG: return cmdline_fail(NAME, EINVAL, "unexpected argument '%s'", arg);
    default: return ARGP_ERR_UNKNOWN;
    }
}

static int parse(int argc, char **argv, struct options *options)
{
    static const struct argp argp = {option_table,
                                     parse_option,
                                     NULL,
                                     "Says what a Debian tree's trust store really holds, and "
                                     "whether that is right.\v"
                                     "Exit status: 0 clean, 1 findings, 2 wrong usage or no such "
                                     "tree, 3 the audit broke.",
                                     NULL,
                                     NULL,
                                     NULL};
    if (cmdline_parse(&argp, NAME, argc, argv, options) < 0)
        return -EINVAL;
    if (!options->root)
        return cmdline_fail(NAME, -EINVAL, "--root DIR is missing");
    if (options->ca_key && !options->ca)
        return cmdline_fail(NAME, -EINVAL, "--ca-key needs --ca");
    if ((options->ca_path && options->ca_path[0] != '/') ||
        (options->bundle && options->bundle[0] != '/'))
        return cmdline_fail(NAME, -EINVAL,
                            "--ca-path and --bundle take absolute paths in the guest");
    return 0;
}

static void print_table(const struct audit_report *report)
{
    static const char *const words[] = {"PASS", "FAIL", "not run"};
    unsigned counts[3] = {0};
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        const struct audit_result *result = &report->results[i];
        counts[result->outcome]++;
        printf("%-7s  %s", words[result->outcome], result->def->id);
        printf(result->outcome == AUDIT_NOT_RUN ? "  -- %s\n" : "\n", result->found);
        if (result->outcome == AUDIT_FAIL)
            printf("         expected: %s\n         found:    %s\n", result->def->expected,
                   result->found);
    }
    printf("%u passed, %u failed, %u not run\n", counts[AUDIT_PASS], counts[AUDIT_FAIL],
           counts[AUDIT_NOT_RUN]);
}

static void print_json(const struct audit_report *report)
{
    json_t *json = audit_report_json(report);
    char *text = json_dumps(json, JSON_COMPACT);
    puts(text ? text : "");
    free(text);
    json_decref(json);
}

static int run_audit(const struct options *options, const struct buf *ca, const struct buf *key)
{
    struct audit_request request = {.root_path = options->root,
                                    .ca_pem = options->ca ? ca : NULL,
                                    .ca_key = options->ca_key ? key : NULL,
                                    .ca_path = options->ca_path,
                                    .bundle_path = options->bundle};
    CLEANUP(audit_report_release) struct audit_report report = {0};
    struct err err;
    int ret = audit_run(&request, &report, &err);
    if (ret < 0)
        return cmdline_fail(NAME, ret == -EIO || ret == -ETIMEDOUT ? 3 : 2, "%s", err.msg);
    if (options->json)
        print_json(&report);
    else
        print_table(&report);
    bool failed = false;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        failed |= report.results[i].outcome == AUDIT_FAIL;
    return cmdline_finish(NAME, failed);
}

int audit_cmd(int argc, char **argv)
{
    CLEANUP(buf_release) struct buf ca = BUF_INIT;
    CLEANUP(buf_release) struct buf key = BUF_INIT;
    struct options options = {0};
    struct err err;
    if (parse(argc, argv, &options) < 0)
        return 2;
    if ((options.ca && io_read_file(AT_FDCWD, options.ca, &ca, MAX_PEM_BYTES, &err) < 0) ||
        (options.ca_key && io_read_file(AT_FDCWD, options.ca_key, &key, MAX_PEM_BYTES, &err) < 0))
        return cmdline_fail(NAME, 2, "%s", err.msg);
    return run_audit(&options, &ca, &key);
}
