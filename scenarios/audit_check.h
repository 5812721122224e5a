/*
 * audit_check.h: the checks of the audit, one table of them.
 *
 * The table is what `killpoint explain` and the documents print, what fixes ids, levels
 * and order, and what runs. A check says pass, fail or not-run; it is not run only when
 * the caller left out what it needs (the CA, its key, a reference), never because of what
 * the guest's files are: what cannot be found is not there, and that is a failure.
 */
#ifndef KILLPOINT_AUDIT_CHECK_H
#define KILLPOINT_AUDIT_CHECK_H

#include "audit_store.h"
#include "audit_tls.h"

enum audit_level { AUDIT_MUST, AUDIT_SHOULD, AUDIT_EXACT };
enum audit_outcome { AUDIT_PASS, AUDIT_FAIL, AUDIT_NOT_RUN };

#define AUDIT_N_CHECKS 17

/* All that the checks look at; filled in by audit.c inside the guest's root. */
struct audit_view {
    const struct buf *ca_pem; /* NULL: the CA is not known */
    const char *ca_path;
    const char *bundle_path;
    const struct audit_tls_pair *tls; /* NULL: no key, so no handshakes */
    struct audit_store store;
};

struct audit_def {
    const char *id; /* immutable; begins with the level */
    enum audit_level level;
    const char *expected; /* what is right, in a few words */
    const char *why;      /* what goes wrong for somebody when it is not so */
    const char *source;
    /* Appends what was found, or why nothing was looked for: any bytes. */
    enum audit_outcome (*check)(struct audit_view *view, struct buf *found);
};

/* The table: AUDIT_N_CHECKS rows. */
const struct audit_def *audit_defs(void);

/* "must", "should", "exact"; "pass", "fail", "not-run". */
const char *audit_level_name(enum audit_level level);
const char *audit_outcome_name(enum audit_outcome outcome);

#endif
