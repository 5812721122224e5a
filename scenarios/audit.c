#include "audit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#define MAX_REPORT_BYTES ((size_t)1 << 20)
#define MAX_FOUND_BYTES 4000

void audit_report_release(struct audit_report *report)
{
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        free(report->results[i].found);
    *report = (struct audit_report){0};
}

unsigned audit_report_count(const struct audit_report *report, enum audit_level level,
                            enum audit_outcome outcome)
{
    unsigned n = 0;
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        n += report->results[i].def->level == level && report->results[i].outcome == outcome;
    return n;
}

/* The guest chooses names and subjects: nothing of them may reach a terminal raw. */
static char *printable(const struct buf *text)
{
    CLEANUP(buf_release) struct buf clean = BUF_INIT;
    for (size_t i = 0; i < text->len && clean.len < MAX_FOUND_BYTES; i++) {
        unsigned char byte = (unsigned char)text->data[i];
        if (byte < ' ' || byte > '~')
            buf_printf(&clean, "\\x%02x", byte);
        else
            buf_append(&clean, &byte, 1);
    }
    if (text->len > 0 && clean.len >= MAX_FOUND_BYTES)
        buf_add(&clean, " ...");
    return io_format("%s", buf_str(&clean));
}

json_t *audit_report_json(const struct audit_report *report)
{
    json_t *checks = json_array();
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        const struct audit_result *result = &report->results[i];
        json_t *check = json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", result->def->id, "level",
                                  audit_level_name(result->def->level), "result",
                                  audit_outcome_name(result->outcome), "expected",
                                  result->def->expected, "found", result->found);
        if (!check || json_array_append_new(checks, check) < 0)
            abort();
    }
    return json_pack("{s:o}", "checks", checks);
}

/* --- the child --------------------------------------------------------------------- */

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* No openssl.cnf, neither the host's nor the guest's. */
static bool set_libcrypto_up(void)
{
    return OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                               NULL) &&
           OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS, NULL);
}

/* The pair of this CA, from *ca_cert, the first certificate of ca_pem. */
static int make_pair(struct audit_tls_pair *ret_pair, X509 *ca_cert, const struct buf *ca_key,
                     struct err *err)
{
    BIO *bio = BIO_new_mem_buf(buf_str(ca_key), (int)ca_key->len);
    char no_password[] = ""; /* or libcrypto would ask the terminal for one */
    CLEANUP(free_key) EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password);
    BIO_free(bio);
    ERR_clear_error();
    return key ? audit_tls_pair_init(ret_pair, ca_cert, key, err)
               : err_text(err, EINVAL, "the CA's key is no PEM private key");
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(buf_str(a), buf_str(b), a->len) == 0;
}

/* The pair that was made beforehand for these very bytes, or NULL. */
static const struct audit_tls_pair *find_pair(const struct audit_known *known,
                                              const struct buf *ca_pem, const struct buf *ca_key)
{
    for (size_t i = 0; known && i < known->n_cas; i++)
        if (same_bytes(&known->cas[i].pem, ca_pem) && same_bytes(&known->cas[i].key, ca_key))
            return &known->cas[i].pair;
    return NULL;
}

/* All that needs the host's side of the root, or could fail for the caller's fault. */
static int prepare(const struct audit_request *request, struct audit_view *view,
                   struct audit_tls_pair *own_pair, struct err *err)
{
    if (!set_libcrypto_up())
        return err_text(err, EIO, "libcrypto cannot be set up");
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    if (!request->ca_pem)
        return 0;
    int ret = audit_store_add_ca(&view->store, request->ca_pem, err);
    if (ret < 0 || !request->ca_key)
        return ret;
    view->tls = find_pair(request->known, request->ca_pem, request->ca_key);
    if (view->tls)
        return 0;
    view->tls = own_pair;
    return make_pair(own_pair, view->store.ca->x509, request->ca_key, err);
}

/* From here on the process sees the guest's files only; not even a core may land there. */
static int enter(const char *root_path, struct err *err)
{
    const struct rlimit none = {0, 0};
    struct stat st;
    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return err_set(err, errno, "setrlimit");
    if (chroot(root_path) < 0 || chdir("/") < 0)
        return err_set(err, errno, "enter %s", root_path);
    if (lstat(AUDIT_CONF, &st) < 0 && lstat(AUDIT_SHARE, &st) < 0)
        return err_text(err, ENOENT, "%s is no Debian tree with ca-certificates", root_path);
    return 0;
}

static int child_audit(const struct audit_request *request, struct audit_report *report,
                       struct err *err)
{
    struct audit_view view = {.ca_pem = request->ca_pem,
                              .ca_path = request->ca_path ? request->ca_path : AUDIT_CA_PATH,
                              .bundle_path =
                                  request->bundle_path ? request->bundle_path : AUDIT_BUNDLE};
    struct audit_tls_pair own_pair = {0};
    audit_store_init(&view.store, request->known ? &request->known->pool : NULL);
    int ret = prepare(request, &view, &own_pair, err);
    if (ret == 0)
        ret = enter(request->root_path, err);
    if (ret == 0)
        audit_store_load(&view.store, view.bundle_path, view.ca_path);
    for (size_t i = 0; ret == 0 && i < AUDIT_N_CHECKS; i++) {
        struct buf found = BUF_INIT;
        const struct audit_def *def = &audit_defs()[i];
        enum audit_outcome outcome = def->check(&view, &found);
        report->results[i] = (struct audit_result){def, outcome, printable(&found)};
        buf_release(&found);
    }
    audit_tls_pair_release(&own_pair);
    audit_store_release(&view.store);
    return ret;
}

/* Sends one line: the report, or {"errno", "error"}. Returns the exit status. */
static int child_main(const struct audit_request *request, int fd)
{
    struct audit_report report = {0};
    struct err err = {""};
    int ret = child_audit(request, &report, &err);
    json_t *json = ret < 0 ? json_pack("{s:i, s:s}", "errno", -ret, "error", err.msg)
                           : audit_report_json(&report);
    char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
    bool sent = line && io_write_all(fd, line, strlen(line)) == 0 && io_write_all(fd, "\n", 1) == 0;
    free(line);
    json_decref(json);
    audit_report_release(&report);
    return sent ? 0 : 1;
}

/* --- the parent -------------------------------------------------------------------- */

static int decode_result(json_t *check, const struct audit_def *def, struct audit_result *ret)
{
    const char *id, *outcome, *found;
    if (json_unpack(check, "{s:s, s:s, s:s}", "id", &id, "result", &outcome, "found", &found) < 0 ||
        strcmp(id, def->id) != 0)
        return -EIO;
    for (enum audit_outcome i = AUDIT_PASS; i <= AUDIT_NOT_RUN; i++)
        if (strcmp(outcome, audit_outcome_name(i)) == 0) {
            *ret = (struct audit_result){def, i, io_format("%s", found)};
            return 0;
        }
    return -EIO;
}

static void free_json(json_t **json)
{
    json_decref(*json);
}

static int decode(const struct buf *line, struct audit_report *ret_report, struct err *err)
{
    CLEANUP(free_json) json_t *json = json_loadb(buf_str(line), line->len, 0, NULL);
    CLEANUP(audit_report_release) struct audit_report report = {0};
    int errnum;
    const char *text;
    if (json_unpack(json, "{s:i, s:s}", "errno", &errnum, "error", &text) == 0)
        return err_text(err, errnum > 0 ? errnum : EIO, "%s", text);
    json_t *checks = json_object_get(json, "checks");
    if (json_array_size(checks) != AUDIT_N_CHECKS)
        return err_text(err, EIO, "the audit child sent no report");
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (decode_result(json_array_get(checks, i), &audit_defs()[i], &report.results[i]) < 0)
            return err_text(err, EIO, "the audit child sent a wrong report");
    *ret_report = report;
    report = (struct audit_report){0};
    return 0;
}

/* Reads up to a newline or the end of file. Returns 0, -ETIMEDOUT or -errno. */
static int read_line(int fd, int64_t deadline_ms, struct buf *line)
{
    while (line->len == 0 || line->data[line->len - 1] != '\n') {
        int64_t left = deadline_ms - io_now_ms();
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int ready = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
        if (ready == 0)
            return -ETIMEDOUT;
        char chunk[4096];
        ssize_t n = ready > 0 ? read(fd, chunk, sizeof chunk) : -1;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        if (n > 0)
            buf_append(line, chunk, (size_t)n);
        if (line->len > MAX_REPORT_BYTES)
            return -EFBIG;
    }
    return 0;
}

int audit_report_receive(int fd, pid_t pid, int timeout_ms, struct audit_report *ret_report,
                         struct err *err)
{
    CLEANUP(buf_release) struct buf line = BUF_INIT;
    int ret = read_line(fd, io_now_ms() + timeout_ms, &line);
    if (ret < 0)
        kill(pid, SIGKILL);
    int status = 0;
    pid_t reaped;
    do
        reaped = waitpid(pid, &status, 0);
    while (reaped < 0 && errno == EINTR);
    if (ret == -ETIMEDOUT)
        return err_text(err, ETIMEDOUT, "the audit took longer than %d ms", timeout_ms);
    if (ret < 0)
        return err_set(err, -ret, "read the audit's report");
    if (reaped == pid && WIFSIGNALED(status))
        return err_text(err, EIO, "audit child died of signal %d", WTERMSIG(status));
    if (reaped == pid && WEXITSTATUS(status) != 0)
        return err_text(err, EIO, "audit child ended with status %d", WEXITSTATUS(status));
    return decode(&line, ret_report, err);
}

/* The exact level needs no guest's root, but the layers' on the host's side. */
static int judge_exact(const struct audit_request *request, struct audit_result *result,
                       struct err *err)
{
    if (!request->reference || !request->found)
        return 0;
    CLEANUP(tree_diffs_release) struct tree_diffs diffs = {0};
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    int ret = tree_compare(request->reference, request->found, request->layers, &diffs, err);
    if (ret < 0)
        return err_wrap(err, ret, "exact/files");
    for (size_t i = 0; i < diffs.n && i < TREE_DIFFS_LISTED; i++)
        buf_printf(&text, "%s%s: %s instead of %s", i ? "; " : "", diffs.list[i].path,
                   diffs.list[i].found, diffs.list[i].expected);
    if (diffs.n > TREE_DIFFS_LISTED)
        buf_printf(&text, "; and %zu more", diffs.n - TREE_DIFFS_LISTED);
    if (diffs.n == 0)
        buf_printf(&text, "%zu changed paths, all as in the reference", request->found->n);
    free(result->found);
    result->found = printable(&text);
    result->outcome = diffs.n ? AUDIT_FAIL : AUDIT_PASS;
    return 0;
}

int audit_run(const struct audit_request *request, struct audit_report *ret_report, struct err *err)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe");
    CLEANUP(io_close) int read_fd = fds[0];
    CLEANUP(io_close) int write_fd = fds[1];
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        return err_set(err, errno, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(getppid() == parent ? child_main(request, write_fd) : 1);
    }
    io_close(&write_fd);
    CLEANUP(audit_report_release) struct audit_report report = {0};
    int timeout_ms = request->timeout_ms ? request->timeout_ms : AUDIT_TIMEOUT_MS;
    int ret = audit_report_receive(read_fd, pid, timeout_ms, &report, err);
    if (ret == 0)
        ret = judge_exact(request, &report.results[AUDIT_N_CHECKS - 1], err);
    if (ret < 0)
        return err_wrap(err, ret, "audit of %s", request->root_path);
    *ret_report = report;
    report = (struct audit_report){0};
    return 0;
}

void audit_known_release(struct audit_known *known)
{
    for (size_t i = 0; i < known->n_cas; i++) {
        buf_release(&known->cas[i].pem);
        buf_release(&known->cas[i].key);
        audit_tls_pair_release(&known->cas[i].pair);
    }
    audit_pool_release(&known->pool);
    *known = (struct audit_known){0};
}

void audit_learn(const char *root_path, struct audit_known *known)
{
    CLEANUP(io_free) char *path = io_format("%s" AUDIT_BUNDLE, root_path);
    CLEANUP(audit_certs_release) struct audit_certs certs = {0};
    CLEANUP(buf_release) struct buf pem = BUF_INIT;
    if (set_libcrypto_up() && io_read_file(AT_FDCWD, path, &pem, AUDIT_STORE_MAX_BYTES, NULL) == 0)
        audit_pool_parse(&known->pool, &pem, &certs);
}

void audit_learn_ca(const struct buf *ca_pem, const struct buf *ca_key, struct audit_known *known)
{
    CLEANUP(audit_certs_release) struct audit_certs certs = {0};
    struct audit_known_ca *ca = &known->cas[known->n_cas];
    if (known->n_cas == AUDIT_KNOWN_CAS_MAX || find_pair(known, ca_pem, ca_key) ||
        !set_libcrypto_up())
        return;
    audit_pool_parse(&known->pool, ca_pem, &certs);
    if (certs.n == 0 || make_pair(&ca->pair, certs.certs[0]->x509, ca_key, NULL) < 0)
        return;
    buf_append(&ca->pem, buf_str(ca_pem), ca_pem->len);
    buf_append(&ca->key, buf_str(ca_key), ca_key->len);
    known->n_cas++;
}
