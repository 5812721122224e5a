#include "audit_check.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How many names a text lists before it only counts. */
#define LISTED 5

struct listing {
    struct buf text;
    size_t n;
};

static void listing_add(struct listing *listing, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void listing_add(struct listing *listing, const char *fmt, ...)
{
    if (listing->n++ >= LISTED)
        return;
    va_list args;
    char *item;
    va_start(args, fmt);
    if (vasprintf(&item, fmt, args) < 0)
        abort();
    va_end(args);
    buf_printf(&listing->text, "%s%.300s", listing->n > 1 ? ", " : "", item);
    free(item);
}

/* Ends a listing: failed when it holds anything, then "N WHAT: a, b and M more". */
static enum audit_outcome listing_end(struct listing *listing, const char *what, struct buf *found)
{
    bool failed = listing->n > 0;
    if (failed)
        buf_printf(found, "%s%zu %s: %s", found->len ? "; " : "", listing->n, what,
                   buf_str(&listing->text));
    if (listing->n > LISTED)
        buf_printf(found, " and %zu more", listing->n - LISTED);
    buf_release(&listing->text);
    return failed ? AUDIT_FAIL : AUDIT_PASS;
}

static const char *subject_of(const struct audit_cert *cert, char name[256])
{
    return X509_NAME_oneline(X509_get_subject_name(cert->x509), name, 256);
}

static enum audit_outcome verdict(bool right)
{
    return right ? AUDIT_PASS : AUDIT_FAIL;
}

static enum audit_outcome not_run(const char *why, struct buf *found)
{
    buf_add(found, why);
    return AUDIT_NOT_RUN;
}

static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG: return "a file";
    case S_IFDIR: return "a folder";
    case S_IFLNK: return "a symbolic link";
    case S_IFIFO: return "a FIFO";
    default: return "a device or socket";
    }
}

/* Describes the CA file; false, with the reason in found, when it is no regular file. */
static bool stat_ca(const struct audit_view *view, struct stat *ret_st, struct buf *found)
{
    if (lstat(view->ca_path, ret_st) < 0)
        buf_printf(found, "%s: %s", view->ca_path, strerror(errno));
    else if (!S_ISREG(ret_st->st_mode))
        buf_printf(found, "%s is %s", view->ca_path, kind_of(ret_st->st_mode));
    else
        return true;
    return false;
}

static enum audit_outcome check_ca_file(struct audit_view *view, struct buf *found)
{
    struct stat st;
    if (!view->ca_pem)
        return not_run("no CA was given", found);
    if (!stat_ca(view, &st, found))
        return AUDIT_FAIL;
    buf_add(found, view->ca_path);
    return AUDIT_PASS;
}

static enum audit_outcome check_ca_mode(struct audit_view *view, struct buf *found)
{
    struct stat st;
    if (!view->ca_pem)
        return not_run("no CA was given", found);
    if (!stat_ca(view, &st, found))
        return AUDIT_FAIL;
    buf_printf(found, "%u:%u %04o", st.st_uid, st.st_gid, st.st_mode & 07777);
    return verdict(st.st_uid == 0 && st.st_gid == 0 && (st.st_mode & 07777) == 0644);
}

static enum audit_outcome check_ca_bytes(struct audit_view *view, struct buf *found)
{
    CLEANUP(buf_release) struct buf data = BUF_INIT;
    struct stat st;
    struct err err;
    if (!view->ca_pem)
        return not_run("no CA was given", found);
    if (!stat_ca(view, &st, found))
        return AUDIT_FAIL;
    if (audit_store_read_file(&view->store, view->ca_path, &data, &err) < 0) {
        buf_add(found, err.msg);
        return AUDIT_FAIL;
    }
    bool same = data.len == view->ca_pem->len &&
                memcmp(buf_str(&data), buf_str(view->ca_pem), data.len) == 0;
    buf_printf(found, same ? "%zu bytes" : "%zu bytes, other ones than the %zu sent", data.len,
               view->ca_pem->len);
    return verdict(same);
}

static enum audit_outcome check_bundle_parses(struct audit_view *view, struct buf *found)
{
    const struct audit_certs *bundle = &view->store.bundle;
    if (bundle->problem)
        buf_add(found, bundle->problem);
    else
        buf_printf(found, "%zu certificates", bundle->n);
    return verdict(!bundle->problem && bundle->n > 0);
}

static enum audit_outcome check_bundle_readable(struct audit_view *view, struct buf *found)
{
    struct stat st;
    if (stat(view->bundle_path, &st) < 0) {
        buf_printf(found, "%s: %s", view->bundle_path, strerror(errno));
        return AUDIT_FAIL;
    }
    buf_printf(found, "mode %04o", st.st_mode & 07777);
    return verdict((st.st_mode & 0444) == 0444);
}

static enum audit_outcome check_bundle_has_ca(struct audit_view *view, struct buf *found)
{
    if (!view->store.ca)
        return not_run("no CA was given", found);
    bool there = view->store.ca->in_bundle > 0;
    buf_printf(found, "%s among %zu certificates", there ? "it is" : "it is not",
               view->store.bundle.n);
    return verdict(there);
}

/* The CA has checks of its own, so its file is none of the roots that are asked for here. */
static bool is_ca_file(const struct audit_view *view, const struct audit_root *root)
{
    return view->store.ca && strcmp(root->path, view->ca_path) == 0;
}

static enum audit_outcome check_bundle_has_roots(struct audit_view *view, struct buf *found)
{
    struct audit_store *store = &view->store;
    struct listing missing = {0}, unreadable = {0};
    size_t n = 0;
    for (size_t i = 0; i < store->n_roots; i++) {
        const struct audit_root *root = &store->roots[i];
        if (is_ca_file(view, root))
            continue;
        /* Whatever lies in the local folder is copied as it is; a packaged root is one. */
        if (!root->local && (root->content.problem || root->content.n == 0))
            listing_add(&unreadable, "%s", root->path);
        for (size_t j = 0; j < root->content.n; j++, n++)
            if (root->content.certs[j]->in_bundle == 0)
                listing_add(&missing, "%s", root->path);
    }
    const char *problem = store->conf_problem ? store->conf_problem : store->local_problem;
    if (problem)
        buf_add(found, problem);
    enum audit_outcome outcome = listing_end(&missing, "missing", found);
    if (listing_end(&unreadable, "unreadable", found) == AUDIT_FAIL || problem)
        outcome = AUDIT_FAIL;
    if (outcome == AUDIT_PASS)
        buf_printf(found, "all %zu", n);
    if (store->n_missing)
        buf_printf(found, " (%zu more are listed, but not installed)", store->n_missing);
    return outcome;
}

static enum audit_outcome check_hashdir_ca(struct audit_view *view, struct buf *found)
{
    struct err err;
    if (!view->store.ca)
        return not_run("no CA was given", found);
    bool there = audit_store_find_hashed(&view->store, view->store.ca, &err) == 0;
    if (there)
        buf_printf(found, "by its hash %08lx", view->store.ca->hash);
    else
        buf_add(found, err.msg);
    return verdict(there);
}

/* `openssl rehash` passes over a file that holds not exactly one certificate, so we do. */
static enum audit_outcome check_hashdir_roots(struct audit_view *view, struct buf *found)
{
    struct audit_store *store = &view->store;
    struct listing missing = {0};
    size_t n = 0;
    for (size_t i = 0; i < store->n_roots; i++) {
        const struct audit_root *root = &store->roots[i];
        struct err err;
        if (is_ca_file(view, root) || root->content.n != 1)
            continue;
        n++;
        if (audit_store_find_hashed(store, root->content.certs[0], &err) < 0)
            listing_add(&missing, "%s (%s)", root->path, err.msg);
    }
    enum audit_outcome outcome = listing_end(&missing, "missing", found);
    if (store->conf_problem) {
        buf_printf(found, "%s%s", found->len ? "; " : "", store->conf_problem);
        return AUDIT_FAIL;
    }
    if (outcome == AUDIT_PASS)
        buf_printf(found, "all %zu", n);
    return outcome;
}

static enum audit_outcome check_tls_bundle(struct audit_view *view, struct buf *found)
{
    struct stat st;
    if (!view->tls)
        return not_run("the CA's key was not given", found);
    /* libssl would wait for a FIFO, and read a device for ever. */
    if (stat(view->bundle_path, &st) < 0 || !S_ISREG(st.st_mode) ||
        (uint64_t)st.st_size > AUDIT_STORE_MAX_BYTES) {
        buf_add(found, "there is no bundle, or no regular file of a sane size");
        return AUDIT_FAIL;
    }
    const struct audit_certs *bundle = &view->store.bundle;
    struct err err;
    int ret = bundle->plain ? audit_tls_handshake_certs(view->tls, bundle, &err)
                            : audit_tls_handshake(view->tls, view->bundle_path, NULL, &err);
    buf_add(found, ret == 0 ? "trusted" : err.msg);
    return verdict(ret == 0);
}

static enum audit_outcome check_tls_hashdir(struct audit_view *view, struct buf *found)
{
    struct err err;
    if (!view->tls)
        return not_run("the CA's key was not given", found);
    /* The same lookup, but with the files of that hash examined first. */
    if (audit_store_find_hashed(&view->store, view->store.ca, &err) == -EINVAL) {
        buf_add(found, err.msg);
        return AUDIT_FAIL;
    }
    int ret = audit_tls_handshake(view->tls, NULL, AUDIT_HASH_DIR, &err);
    buf_add(found, ret == 0 ? "trusted" : err.msg);
    return verdict(ret == 0);
}

static enum audit_outcome check_duplicates(struct audit_view *view, struct buf *found)
{
    const struct audit_certs *bundle = &view->store.bundle;
    struct listing twice = {0};
    for (size_t i = 0; i < bundle->n; i++) {
        struct audit_cert *cert = bundle->certs[i];
        /* Two enabled files with the same certificate rightly put it there twice. */
        unsigned allowed = cert->in_enabled ? cert->in_enabled : 1;
        char name[256];
        if (cert->in_bundle <= allowed)
            continue;
        listing_add(&twice, "%s (%u times)", subject_of(cert, name), cert->in_bundle);
        cert->in_bundle = allowed; /* so that it is listed once */
    }
    return listing_end(&twice, "too often", found);
}

static enum audit_outcome check_nothing_else(struct audit_view *view, struct buf *found)
{
    const struct audit_certs *bundle = &view->store.bundle;
    struct listing extra = {0};
    for (size_t i = 0; i < bundle->n; i++) {
        char name[256];
        if (bundle->certs[i]->in_enabled == 0 && bundle->certs[i] != view->store.ca)
            listing_add(&extra, "%s", subject_of(bundle->certs[i], name));
    }
    return listing_end(&extra, "more", found);
}

static enum audit_outcome check_dangling(struct audit_view *view, struct buf *found)
{
    struct listing dangling = {0};
    if (view->store.links_problem) {
        buf_add(found, view->store.links_problem);
        return AUDIT_FAIL;
    }
    for (size_t i = 0; i < view->store.n_links; i++) {
        const struct audit_link *link = &view->store.links[i];
        if (link->dangling)
            listing_add(&dangling, "%s -> %s", link->name, link->target);
    }
    return listing_end(&dangling, "dangling", found);
}

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && path[len] == '/';
}

/* Whether a link's file is one of ca-certificates' own, not another package's. */
static bool is_ours(const char *link_name)
{
    CLEANUP(io_free) char *path = io_format("%s/%s", AUDIT_HASH_DIR, link_name);
    char real[PATH_MAX];
    return realpath(path, real) && (is_below(real, AUDIT_SHARE) || is_below(real, AUDIT_LOCAL));
}

/* A hash link leads to one certificate of that hash, and no other link does. */
static void check_hash_link(const struct audit_link *link, const struct audit_cert **seen,
                            size_t *n_seen, struct listing *stray)
{
    const struct audit_certs *content = &link->content;
    if (content->problem || content->n != 1) {
        listing_add(stray, "%s -> %s (%s)", link->name, link->target,
                    content->problem ? content->problem : "not one certificate");
        return;
    }
    const struct audit_cert *cert = content->certs[0];
    if (cert->hash != link->hash) {
        listing_add(stray, "%s -> %s (its hash is %08lx)", link->name, link->target, cert->hash);
        return;
    }
    if (cert->in_links < 2 || !is_ours(link->name))
        return;
    for (size_t i = 0; i < *n_seen; i++)
        if (seen[i] == cert) {
            listing_add(stray, "%s -> %s (a second link)", link->name, link->target);
            return;
        }
    seen[(*n_seen)++] = cert;
}

static enum audit_outcome check_stray(struct audit_view *view, struct buf *found)
{
    struct audit_store *store = &view->store;
    struct listing stray = {0};
    size_t n_seen = 0;
    const struct audit_cert **seen = calloc(store->n_links + 1, sizeof(struct audit_cert *));
    if (!seen)
        abort();
    for (size_t i = 0; i < store->n_links; i++)
        if (store->links[i].hash_named && !store->links[i].dangling)
            audit_store_read_link(store, &store->links[i]);
    for (size_t i = 0; i < store->n_links; i++) {
        const struct audit_link *link = &store->links[i];
        if (link->dangling)
            continue; /* has a check of its own */
        if (link->hash_named)
            check_hash_link(link, seen, &n_seen, &stray);
        else if ((is_below(link->target, AUDIT_SHARE) || is_below(link->target, AUDIT_LOCAL)) &&
                 !audit_store_root(store, link->target))
            listing_add(&stray, "%s -> %s (not enabled)", link->name, link->target);
    }
    free(seen);
    return listing_end(&stray, "stray", found);
}

/* Judged by audit.c where there is a reference: it needs files outside of the guest's root. */
static enum audit_outcome check_files(struct audit_view *view, struct buf *found)
{
    (void)view;
    return not_run("there is no undisturbed install to compare with", found);
}

static enum audit_outcome check_temporaries(struct audit_view *view, struct buf *found)
{
    struct listing left = {0};
    for (size_t i = 0; i < view->store.n_temporaries; i++)
        listing_add(&left, "%s", view->store.temporaries[i]);
    return listing_end(&left, "left behind", found);
}

#define UPDATE "update-ca-certificates(8) of Debian 11, 12 and 13"

static const struct audit_def defs[AUDIT_N_CHECKS] = {
    {"must/ca-file", AUDIT_MUST, "the CA file is a regular file",
     "The next update-ca-certificates run drops a CA whose file is not there.", UPDATE,
     check_ca_file},
    {"must/ca-file-mode", AUDIT_MUST, "0:0 0644",
     "The store's links lead to this file: others must read it, and only root may change it.",
     "provisioner contract: chown root:root, chmod 644", check_ca_mode},
    {"must/ca-file-bytes", AUDIT_MUST, "the bytes that were sent",
     "A torn or an older file is another certificate, or none.", "provisioner contract: one cp",
     check_ca_bytes},
    {"must/bundle-parses", AUDIT_MUST, "a file of whole PEM certificates, at least one",
     "libcrypto refuses the whole bundle for one torn block, so every TLS client fails.",
     "X509_load_cert_crl_file(3)", check_bundle_parses},
    {"must/bundle-readable", AUDIT_MUST, "everybody may read the bundle",
     "TLS clients that are not root lose all roots.", UPDATE " (chmod 0644)",
     check_bundle_readable},
    {"must/bundle-has-ca", AUDIT_MUST, "the bundle holds the CA",
     "Clients that use the bundle refuse the proxy.", UPDATE, check_bundle_has_ca},
    {"must/bundle-has-roots", AUDIT_MUST, "the bundle holds every enabled root",
     "Clients that use the bundle refuse public servers.", UPDATE, check_bundle_has_roots},
    {"must/hashdir-finds-ca", AUDIT_MUST, "the hash directory finds the CA",
     "Clients that use the directory refuse the proxy.", "X509_LOOKUP_hash_dir(3)",
     check_hashdir_ca},
    {"must/hashdir-finds-roots", AUDIT_MUST, "the hash directory finds every enabled root",
     "Clients that use the directory refuse public servers.", "X509_LOOKUP_hash_dir(3)",
     check_hashdir_roots},
    {"must/tls-bundle", AUDIT_MUST, "a client with the bundle alone trusts the CA's server",
     "This is what the CA was installed for.", "SSL_CTX_load_verify_file(3)", check_tls_bundle},
    {"must/tls-hashdir", AUDIT_MUST,
     "a client with the hash directory alone trusts the CA's server",
     "This is what the CA was installed for.", "SSL_CTX_load_verify_dir(3)", check_tls_hashdir},
    {"should/bundle-no-duplicates", AUDIT_SHOULD, "the bundle holds nothing twice",
     "Two updates at once, or one over a stale temporary, have mixed their output.", UPDATE,
     check_duplicates},
    {"should/bundle-nothing-else", AUDIT_SHOULD, "the bundle holds nothing else",
     "A CA that was replaced or deselected is still trusted.", UPDATE, check_nothing_else},
    {"should/no-dangling-links", AUDIT_SHOULD, "no link of the hash directory dangles",
     "`openssl rehash` ends with an error over them; the next update may fail.",
     "Debian bugs 895473 and 895482", check_dangling},
    {"should/no-stray-links", AUDIT_SHOULD,
     "links lead to enabled certificates, and hash links to one of their hash, once",
     "A CA that was replaced or deselected is still trusted, or the wrong one is found.",
     "openssl-rehash(1ssl)", check_stray},
    {"should/no-temporaries", AUDIT_SHOULD, "no temporary file of an update or upload is left",
     "The next update appends to a stale bundle.new, or takes a half upload for a CA.",
     UPDATE "; smolvm 0.8.0 and 1.7.3, cp; ln(1) -f", check_temporaries},
    {"exact/files", AUDIT_EXACT, "the files equal those of an undisturbed install",
     "Something is left of the disturbance that no other check knows of.",
     "a reference install on a fresh copy", check_files},
};

const struct audit_def *audit_defs(void)
{
    return defs;
}

const char *audit_level_name(enum audit_level level)
{
    static const char *const names[] = {"must", "should", "exact"};
    return names[level];
}

const char *audit_outcome_name(enum audit_outcome outcome)
{
    static const char *const names[] = {"pass", "fail", "not-run"};
    return names[outcome];
}
