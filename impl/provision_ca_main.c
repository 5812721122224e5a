/*
 * provision-ca: the reference provisioner. It installs one CA certificate into one running
 * machine through the machine's command line.
 *
 * Exit status: 0 done; 1 failed; 2 wrong usage, or an unusable plan or certificate.
 */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cert.h"
#include "plan.h"
#include "provision.h"
#include "script.h"

#define SETTLE_MAX_S 3600

enum { EXIT_FAILED = 1, EXIT_UNUSABLE = 2 };

enum option_key {
    OPT_MACHINE = 256,
    OPT_PLAN,
    OPT_CERT,
    OPT_LABEL,
    OPT_DRIVER,
    OPT_POLICY,
    OPT_SETTLE,
    OPT_CA_PATH,
    OPT_BUNDLE,
};

static const struct argp_option options[] = {
    {"machine", OPT_MACHINE, "NAME", 0, "The running machine", 0},
    {"plan", OPT_PLAN, "FILE", 0, "Choose the CA and its label as this JSON plan says", 0},
    {"cert", OPT_CERT, "FILE", 0, "Install this CA certificate", 0},
    {"label", OPT_LABEL, "LABEL", 0, "With --cert: egress (default) or pipelock", 0},
    {"driver", OPT_DRIVER, "NAME", 0, "smolvm (default; the program is $SMOLVM if set) or docker",
     0},
    {"policy", OPT_POLICY, "NAME", 0, "hardened (default) or upstream", 0},
    {"settle", OPT_SETTLE, "SECONDS", 0, "Wait at least so long before a second exec (1.0)", 0},
    {"ca-path", OPT_CA_PATH, "PATH", 0, "The CA file in the guest", 0},
    {"bundle", OPT_BUNDLE, "PATH", 0, "The CA bundle in the guest", 0},
    {0},
};

/* Everything the command line says; error is set once, by the first mistake. */
struct command_line {
    struct provision provision;
    const char *plan;
    const char *cert;
    int label; /* enum label, or -1 */
    const char *bundle;
    FILE *argp_errors; /* where argp's "Try --help" line goes: one line is enough */
    struct error error;
};

/* The index of word in a list of two, or -1 with the error set. */
static int choose(const char *option, const char *word, const char *const words[2],
                  struct error *error)
{
    for (int i = 0; i < 2; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return error_set(error, EINVAL, "--%s must be %s or %s, not '%s'", option, words[0], words[1],
                     word);
}

static int parse_machine(const char *text, struct error *error)
{
    static const char alnum[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t first = strspn(text, alnum);
    size_t len = 0;
    while (text[len] && (strchr(alnum, text[len]) || strchr("_.-", text[len])))
        len++;
    if (first == 0 || text[len])
        return error_set(error, EINVAL, "--machine '%s' is no machine's name", text);
    return 0;
}

/* DIGITS[.DIGITS] or .DIGITS, nothing of strtod's other forms. */
static int parse_settle(const char *text, int64_t *ret_ns, struct error *error)
{
    size_t whole = strspn(text, "0123456789");
    size_t point = text[whole] == '.';
    size_t fraction = strspn(text + whole + point, "0123456789");
    double seconds = strtod(text, NULL);
    if (whole + fraction == 0 || text[whole + point + fraction] || seconds > SETTLE_MAX_S)
        return error_set(error, EINVAL,
                         "--settle must be a number of seconds from 0 to %d, not '%s'",
                         SETTLE_MAX_S, text);
    *ret_ns = (int64_t)(seconds * 1e9 + 0.5);
    return 0;
}

static int parse_guest_path(const char *option, const char *text, struct error *error)
{
    if (text[0] != '/')
        return error_set(error, EINVAL, "--%s '%s' is not absolute", option, text);
    return 0;
}

static int check_whole(const struct command_line *line, struct error *error)
{
    if (!line->provision.machine)
        return error_set(error, EINVAL, "--machine is missing");
    if (!line->plan && !line->cert)
        return error_set(error, EINVAL, "--plan or --cert is missing");
    if (line->plan && line->cert)
        return error_set(error, EINVAL, "--plan and --cert exclude each other");
    if (line->plan && line->label >= 0)
        return error_set(error, EINVAL, "--label goes with --cert, a plan has its own");
    return 0;
}

static int parse_option(int key, char *arg, struct command_line *line)
{
    static const char *const labels[] = {"egress", "pipelock"};
    static const char *const drivers[] = {"smolvm", "docker"};
    static const char *const policies[] = {"upstream", "hardened"};
    struct provision *provision = &line->provision;
    struct error *error = &line->error;
    int chosen = 0;
    switch (key) {
    case OPT_MACHINE: provision->machine = arg; return parse_machine(arg, error);
    case OPT_PLAN: line->plan = arg; return 0;
    case OPT_CERT: line->cert = arg; return 0;
    case OPT_LABEL: line->label = chosen = choose("label", arg, labels, error); break;
    case OPT_DRIVER:
        if ((chosen = choose("driver", arg, drivers, error)) >= 0)
            provision->driver = (enum driver)chosen;
        break;
    case OPT_POLICY:
        if ((chosen = choose("policy", arg, policies, error)) >= 0)
            provision->policy = (enum policy)chosen;
        break;
    case OPT_SETTLE: return parse_settle(arg, &provision->settle_ns, error);
    case OPT_CA_PATH: provision->ca_path = arg; return parse_guest_path("ca-path", arg, error);
    case OPT_BUNDLE: line->bundle = arg; return parse_guest_path("bundle", arg, error);
    }
    return chosen < 0 ? chosen : 0;
}

static error_t parse_key(int key, char *arg, struct argp_state *state)
{
    struct command_line *line = state->input;
    int ret;
    switch (key) {
    case ARGP_KEY_INIT: state->err_stream = line->argp_errors; return 0;
    case ARGP_KEY_ARG:
        ret = error_set(&line->error, EINVAL, "unexpected argument '%s'", arg);
        break;
    case ARGP_KEY_END: ret = check_whole(line, &line->error); break;
    default:
        if (key < OPT_MACHINE || key > OPT_BUNDLE)
            return ARGP_ERR_UNKNOWN;
        ret = parse_option(key, arg, line);
    }
    return ret < 0 ? -ret : 0;
}

/* smolvm reads "a:b" as MACHINE:PATH even for a host path; no driver takes "-x" for a file. */
static int check_host_path(const struct provision *provision, struct error *error)
{
    const char *path = provision->cert_path;
    if (path[0] == '-' || (provision->driver == DRIVER_SMOLVM && strchr(path, ':')))
        return error_set(error, EINVAL, "%s: the driver's cp would not take this for a file's name",
                         path);
    return 0;
}

/* Reads plan and certificate; then all but the script is known. */
static int load(struct command_line *line, struct plan *plan, struct cert *cert)
{
    int ret = 0;
    if (line->plan) {
        ret = plan_load(line->plan, plan, &line->error);
    } else {
        plan->label = line->label < 0 ? LABEL_EGRESS : (enum label)line->label;
        plan->cert_path = format_text("%s", line->cert);
    }
    if (ret < 0)
        return ret;
    line->provision.cert_path = plan->cert_path;
    ret = check_host_path(&line->provision, &line->error);
    if (ret == 0)
        ret = cert_load(plan->cert_path, line->provision.policy == POLICY_HARDENED, cert,
                        &line->error);
    return ret;
}

static int complain(struct error *error, int status)
{
    fprintf(stderr, "provision-ca: %s\n", error->text);
    error_release(error);
    return status;
}

static int provision(struct command_line *line)
{
    CLEANUP(plan_release) struct plan plan = {LABEL_EGRESS, NULL};
    struct cert cert;
    if (load(line, &plan, &cert) < 0)
        return complain(&line->error, EXIT_UNUSABLE);
    struct provision *p = &line->provision;
    CLEANUP(free_text)
    char *script = p->policy == POLICY_HARDENED
                       ? script_hardened(p->ca_path, line->bundle, cert.file_sha256)
                       : script_upstream(p->ca_path, line->bundle);
    p->script = script;
    int execs = provision_run(p, &line->error);
    if (execs < 0)
        return complain(&line->error, EXIT_FAILED);
    fprintf(stderr, "provision-ca: %s CA %s installed into %s%s\n", label_name(plan.label),
            cert.fingerprint, p->machine, execs > 1 ? " by a second exec" : "");
    return EXIT_SUCCESS;
}

/* A pipe must not become our own stderr because the caller closed it. */
static void open_missing_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    open_missing_streams();
    static const struct argp argp = {
        .options = options,
        .parser = parse_key,
        .doc = "Installs a CA certificate into a running machine: one cp, one exec, and a second "
               "exec when the first one was killed.\v"
               "--machine and one of --plan and --cert are needed. Exit status: 0 done, 1 failed, "
               "2 wrong usage or an unusable plan or certificate.",
    };
    struct command_line line = {
        .provision = {.driver = DRIVER_SMOLVM,
                      .policy = POLICY_HARDENED,
                      .ca_path = "/usr/local/share/ca-certificates/bot-bottle-mitm.crt",
                      .settle_ns = 1000000000},
        .bundle = "/etc/ssl/certs/ca-certificates.crt",
        .label = -1,
    };
    CLEANUP(close_file) FILE *nowhere = fopen("/dev/null", "we");
    line.argp_errors = nowhere;
    argp_err_exit_status = EXIT_UNUSABLE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &line) != 0)
        return complain(&line.error, EXIT_UNUSABLE);
    const char *smolvm = getenv("SMOLVM");
    line.provision.driver_path = line.provision.driver == DRIVER_DOCKER ? "docker"
                                 : smolvm && *smolvm                    ? smolvm
                                                                        : "smolvm";
    return provision(&line);
}
