/*
 * audit_store.h: a Debian trust store, read from its files.
 *
 * All paths are looked up from the process's own root: audit.c enters the guest's root
 * first. The files are hostile input. Nothing but regular files is ever opened, one
 * store reads at most AUDIT_STORE_MAX_BYTES and walks at most AUDIT_STORE_MAX_FILES
 * local files, and damage is a `problem` text to report, never an error of ours.
 *
 * Order of calls: audit_store_init(), audit_store_add_ca() when the CA is known,
 * audit_store_load(), then the questions.
 */
#ifndef KILLPOINT_AUDIT_STORE_H
#define KILLPOINT_AUDIT_STORE_H

#include <sys/stat.h>

#include "audit_pool.h"

#define AUDIT_STORE_MAX_BYTES ((size_t)64 << 20)
#define AUDIT_STORE_MAX_FILES 10000

#define AUDIT_CONF "/etc/ca-certificates.conf"
#define AUDIT_SHARE "/usr/share/ca-certificates"
#define AUDIT_LOCAL "/usr/local/share/ca-certificates"
#define AUDIT_HASH_DIR "/etc/ssl/certs"

/* A file whose certificates update-ca-certificates puts into the store. */
struct audit_root {
    char *path;
    struct stat st; /* of the file that was read */
    bool local;     /* below AUDIT_LOCAL, not from ca-certificates.conf */
    struct audit_certs content;
};

/* A symbolic link in the hash directory. */
struct audit_link {
    char *name;
    char *target; /* what readlink() says */
    bool dangling;
    bool hash_named;    /* eight hexadecimal digits, a dot, digits */
    unsigned long hash; /* these digits; 0: not hash_named */
    bool is_read;       /* content is filled */
    struct stat st;     /* of what it leads to, when it does not dangle */
    struct audit_certs content;
};

struct audit_store {
    struct audit_cert *ca; /* NULL: not known */
    struct audit_certs bundle;
    struct audit_root *roots;
    size_t n_roots;
    const struct audit_root **by_inode; /* the same, sorted by device and inode */
    size_t n_missing;   /* listed in ca-certificates.conf, but no file: only a warning there */
    char *conf_problem; /* NULL: ca-certificates.conf could be read */
    char *local_problem;
    struct audit_link *links; /* by name */
    size_t n_links;
    char *links_problem;
    char **temporaries; /* absolute paths of what an update or an upload left behind */
    size_t n_temporaries;

    struct audit_pool pool;
    size_t budget_bytes;  /* what may still be read */
    X509_STORE *hash_dir; /* made at the first lookup that needs it */
};

/* known: see audit_pool.h; NULL: none. Borrowed until audit_store_release(). */
void audit_store_init(struct audit_store *store, const struct audit_pool *known);
void audit_store_release(struct audit_store *store);

/* Takes the first certificate of pem as the CA. Returns 0, or -EINVAL: there is none. */
int audit_store_add_ca(struct audit_store *store, const struct buf *pem, struct err *err);

/*
 * Reads everything. ca_path's folder is searched for the upload's temporaries.
 * Enabled roots are the lines of AUDIT_CONF that begin with neither '#' nor '!' and name a
 * file below AUDIT_SHARE, and every *.crt below AUDIT_LOCAL but such temporaries.
 * Source: update-ca-certificates of Debian 11, 12 and 13; smolvm 0.8.0 and 1.7.3, cp.
 */
void audit_store_load(struct audit_store *store, const char *bundle_path, const char *ca_path);

/* Reads one PEM file, see audit_pool_parse(). */
void audit_store_read_certs(struct audit_store *store, const char *path,
                            struct audit_certs *ret_certs);

/*
 * Fills the content of one of store's links, at the first call. The file of an enabled root
 * (same device, inode, size and times) is not read again.
 */
void audit_store_read_link(struct audit_store *store, struct audit_link *link);

/*
 * Reads one regular file whole within what is left of the budget. Returns 0 or -errno;
 * -EINVAL: it is no regular file.
 */
int audit_store_read_file(struct audit_store *store, const char *path, struct buf *ret_data,
                          struct err *err);

/*
 * Looks a certificate up in AUDIT_HASH_DIR the way a client does. The CA is looked up with
 * libcrypto's own X509_LOOKUP_hash_dir, and so is whatever is not found at once: a root is
 * when HASH.0 and its next are plain files up to one that holds it.
 * Returns 0 when exactly this certificate is found.
 * Errors: -ENOENT, it is not; -EINVAL, a file of that hash would block the client.
 */
int audit_store_find_hashed(struct audit_store *store, const struct audit_cert *cert,
                            struct err *err);

/* The enabled root of this path, or NULL. */
const struct audit_root *audit_store_root(const struct audit_store *store, const char *path);

#endif
