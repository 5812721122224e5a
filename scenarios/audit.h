/*
 * audit.h: what a guest's trust store really holds, and whether that is right.
 *
 * The audit never asks the program that installed the CA. A child process sets libcrypto
 * up (no openssl.cnf, no SSL_CERT_FILE), enters the guest's root with chroot(2), reads
 * the store (audit_store.h), does handshakes (audit_tls.h) and sends a report back. The
 * guest may be hostile: the child runs nothing of it, opens regular files only, can
 * write no file, and has a deadline; its crash is an error here, not ours.
 *
 * Every check of audit_defs() is in every report, in that order.
 */
#ifndef KILLPOINT_AUDIT_H
#define KILLPOINT_AUDIT_H

#include <jansson.h>

#include "audit_check.h"
#include "tree.h"

#define AUDIT_CA_PATH "/usr/local/share/ca-certificates/bot-bottle-mitm.crt"
#define AUDIT_BUNDLE "/etc/ssl/certs/ca-certificates.crt"
#define AUDIT_TIMEOUT_MS 30000
#define AUDIT_KNOWN_CAS_MAX 8

/* What was prepared in a process for all audits of its forks: start it with zeros. */
struct audit_known {
    struct audit_pool pool;
    struct audit_known_ca {
        struct buf pem, key;
        struct audit_tls_pair pair;
    } cas[AUDIT_KNOWN_CAS_MAX];
    size_t n_cas;
};

void audit_known_release(struct audit_known *known);

/* Everything is borrowed. Unset members (zeros) mean what is said beside them. */
struct audit_request {
    const char *root_path;           /* the guest's root; may be /proc/PID/root/… */
    const struct buf *ca_pem;        /* the CA as it was sent; NULL: only what needs no CA */
    const struct buf *ca_key;        /* its key, PEM; NULL: no handshakes */
    const char *ca_path;             /* in the guest; NULL: AUDIT_CA_PATH */
    const char *bundle_path;         /* in the guest; NULL: AUDIT_BUNDLE */
    int timeout_ms;                  /* 0: AUDIT_TIMEOUT_MS */
    const struct audit_known *known; /* see audit_learn(); changes time only, no verdict; or NULL */
    const struct tree *reference;    /* what an undisturbed install changed; NULL: no exact level */
    const struct tree *found;        /* what this trial changed; NULL as reference is */
    const char *const *layers;       /* the lower layers of both, see tree_compare() */
};

struct audit_result {
    const struct audit_def *def;
    enum audit_outcome outcome;
    char *found; /* printable ASCII, bounded; for people */
};

struct audit_report {
    struct audit_result results[AUDIT_N_CHECKS];
};

void audit_report_release(struct audit_report *report);

/*
 * Audits one root. Needs CAP_SYS_CHROOT. Changes nothing in the guest.
 * Returns 0 with a whole report. Errors: -EINVAL, ca_pem or ca_key is unusable, or they do
 * not belong together; -ENOENT, the root is no Debian with ca-certificates (neither
 * ca-certificates.conf nor /usr/share/ca-certificates is there); -EIO, the child died
 * ("audit child died of signal N"); -ETIMEDOUT; chroot(2)'s.
 */
int audit_run(const struct audit_request *request, struct audit_report *ret_report,
              struct err *err);

/*
 * Sets libcrypto up in this process and adds the certificates of a root's bundle to *known,
 * for requests of this process and of its forks: each audit then parses only what is new to
 * the guest. The root's files are trusted not to be hostile. No bundle, or a bad one, is no
 * error: there is just less that is known.
 */
void audit_learn(const char *root_path, struct audit_known *known);

/* The same for a CA and its key, PEM: audits that send these bytes share one server
 * certificate. What cannot be used, or is one too many, is for audit_run() to report. */
void audit_learn_ca(const struct buf *ca_pem, const struct buf *ca_key, struct audit_known *known);

/* How many checks of this level ended so. */
unsigned audit_report_count(const struct audit_report *report, enum audit_level level,
                            enum audit_outcome outcome);

/* {"checks": [{"id", "level", "result", "expected", "found"}, …]}; the caller owns it. */
json_t *audit_report_json(const struct audit_report *report);

/*
 * audit_run()'s second half: reads one line of JSON from fd and reaps the child pid,
 * which is killed at the deadline. Exported for the tests.
 */
int audit_report_receive(int fd, pid_t pid, int timeout_ms, struct audit_report *ret_report,
                         struct err *err);

#endif
