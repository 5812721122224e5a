#include "audit_store.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#define MAX_DEPTH 32

void audit_store_init(struct audit_store *store, const struct audit_pool *known)
{
    *store = (struct audit_store){.pool = {.known = known}, .budget_bytes = AUDIT_STORE_MAX_BYTES};
}

void audit_store_release(struct audit_store *store)
{
    audit_certs_release(&store->bundle);
    for (size_t i = 0; i < store->n_roots; i++) {
        free(store->roots[i].path);
        audit_certs_release(&store->roots[i].content);
    }
    for (size_t i = 0; i < store->n_links; i++) {
        free(store->links[i].name);
        free(store->links[i].target);
        audit_certs_release(&store->links[i].content);
    }
    for (size_t i = 0; i < store->n_temporaries; i++)
        free(store->temporaries[i]);
    free(store->roots);
    free(store->by_inode);
    free(store->links);
    free(store->temporaries);
    free(store->conf_problem);
    free(store->local_problem);
    free(store->links_problem);
    X509_STORE_free(store->hash_dir);
    audit_pool_release(&store->pool);
    audit_store_init(store, NULL);
}

/* Makes room for one more element: doubles at every power of two. */
static void *grow(void *array, size_t n, size_t size)
{
    if (n & (n - 1))
        return array;
    array = reallocarray(array, n ? 2 * n : 1, size);
    if (!array)
        abort();
    return array;
}

/* Reads what stat(2) has just said to be this: opening a device may already do something. */
static int read_regular(struct audit_store *store, const char *path, struct stat *st,
                        struct buf *ret_data, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_text(err, EINVAL, "%s is no regular file", path);
    CLEANUP(io_close) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, st) < 0)
        return err_set(err, errno, "open %s", path);
    if (!S_ISREG(st->st_mode))
        return err_text(err, EINVAL, "%s is no regular file", path);
    if ((uint64_t)st->st_size > store->budget_bytes)
        return err_text(err, EFBIG, "%s: too much to read", path);
    size_t before = ret_data->len;
    int ret = io_read_all(fd, ret_data, store->budget_bytes);
    store->budget_bytes -= ret_data->len - before;
    if (ret < 0)
        return err_set(err, -ret, "read %s", path);
    return 0;
}

int audit_store_read_file(struct audit_store *store, const char *path, struct buf *ret_data,
                          struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return err_set(err, errno, "%s", path);
    return read_regular(store, path, &st, ret_data, err);
}

/* The same with what stat(2) said; afterwards it is what was opened. */
static void read_certs(struct audit_store *store, const char *path, struct stat *st,
                       struct audit_certs *ret_certs)
{
    CLEANUP(buf_release) struct buf pem = BUF_INIT;
    struct err err;
    *ret_certs = (struct audit_certs){0};
    if (read_regular(store, path, st, &pem, &err) < 0)
        ret_certs->problem = io_format("%s", err.msg);
    else
        audit_pool_parse(&store->pool, &pem, ret_certs);
}

void audit_store_read_certs(struct audit_store *store, const char *path,
                            struct audit_certs *ret_certs)
{
    struct stat st;
    *ret_certs = (struct audit_certs){0};
    if (stat(path, &st) < 0)
        ret_certs->problem = io_format("%s: %s", path, strerror(errno));
    else
        read_certs(store, path, &st, ret_certs);
}

int audit_store_add_ca(struct audit_store *store, const struct buf *pem, struct err *err)
{
    CLEANUP(audit_certs_release) struct audit_certs certs = {0};
    audit_pool_parse(&store->pool, pem, &certs);
    if (certs.n == 0)
        return err_text(err, EINVAL, "the CA is no PEM certificate");
    store->ca = certs.certs[0];
    return 0;
}

static bool is_upload(const char *name)
{
    return strstr(name, ".smolvm-upload.") != NULL;
}

static void add_root(struct audit_store *store, const char *path, const struct stat *st, bool local)
{
    store->roots = grow(store->roots, store->n_roots, sizeof *store->roots);
    struct audit_root *root = &store->roots[store->n_roots++];
    *root = (struct audit_root){.path = io_format("%s", path), .st = *st, .local = local};
    read_certs(store, path, &root->st, &root->content);
    for (size_t i = 0; i < root->content.n; i++)
        root->content.certs[i]->in_enabled++;
}

/* A last line without its newline is not seen by the shell's `read` and so not enabled. */
static void load_conf(struct audit_store *store)
{
    CLEANUP(buf_release) struct buf conf = BUF_INIT;
    struct err err;
    if (audit_store_read_file(store, AUDIT_CONF, &conf, &err) < 0) {
        store->conf_problem = io_format("%s", err.msg);
        return;
    }
    char *line = conf.data;
    for (char *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        if (*line == '#' || *line == '!')
            continue;
        line += strspn(line, " \t");
        for (char *last = end; last > line && (last[-1] == ' ' || last[-1] == '\t');)
            *--last = '\0';
        if (*line == '\0')
            continue;
        CLEANUP(io_free) char *path = io_format("%s/%s", AUDIT_SHARE, line);
        struct stat st;
        if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || store->n_roots > AUDIT_STORE_MAX_FILES)
            store->n_missing++;
        else
            add_root(store, path, &st, false);
    }
}

/* What `find -L AUDIT_LOCAL -type f -name '*.crt'` finds; fts ends loops of links. */
static void load_local(struct audit_store *store)
{
    char top[] = AUDIT_LOCAL;
    FTS *fts = fts_open((char *[]){top, NULL}, FTS_LOGICAL | FTS_NOCHDIR, NULL);
    if (!fts)
        abort();
    FTSENT *entry;
    for (size_t seen = 0; (entry = fts_read(fts)); seen++) {
        if (seen > AUDIT_STORE_MAX_FILES) {
            store->local_problem =
                io_format("more than %d files below %s", AUDIT_STORE_MAX_FILES, AUDIT_LOCAL);
            break;
        }
        if (entry->fts_info == FTS_D && entry->fts_level > MAX_DEPTH)
            fts_set(fts, entry, FTS_SKIP);
        size_t len = entry->fts_namelen;
        if (entry->fts_info == FTS_F && len >= 4 && !is_upload(entry->fts_name) &&
            strcmp(entry->fts_name + len - 4, ".crt") == 0)
            add_root(store, entry->fts_path, entry->fts_statp, true);
    }
    fts_close(fts);
}

static bool is_hash_name(const char *name)
{
    size_t hex = strspn(name, "0123456789abcdef");
    return hex == 8 && name[8] == '.' && isdigit((unsigned char)name[9]) &&
           name[9 + strspn(name + 9, "0123456789")] == '\0';
}

/* `ln -sf` over an existing name makes "CuXXXXXX" beside it and renames (coreutils). */
static bool is_ln_temporary(const char *name)
{
    if (strncmp(name, "Cu", 2) != 0 || strlen(name) != 8)
        return false;
    for (const char *at = name + 2; *at; at++)
        if (!isalnum((unsigned char)*at))
            return false;
    return true;
}

static void add_temporary(struct audit_store *store, const char *folder, const char *name)
{
    store->temporaries = grow(store->temporaries, store->n_temporaries, sizeof(char *));
    store->temporaries[store->n_temporaries++] = io_format("%s/%s", folder, name);
}

static void add_link(struct audit_store *store, int dir_fd, const char *name)
{
    char target[PATH_MAX];
    ssize_t len = readlinkat(dir_fd, name, target, sizeof target - 1);
    if (len < 0)
        return;
    if (is_ln_temporary(name)) {
        add_temporary(store, AUDIT_HASH_DIR, name);
        return;
    }
    target[len] = '\0';
    struct stat st = {0};
    bool dangling = fstatat(dir_fd, name, &st, 0) < 0;
    store->links = grow(store->links, store->n_links, sizeof *store->links);
    store->links[store->n_links++] = (struct audit_link){
        .name = io_format("%s", name),
        .target = io_format("%s", target),
        .dangling = dangling,
        .st = st,
        .hash_named = is_hash_name(name),
        .hash = is_hash_name(name) ? strtoul(name, NULL, 16) : 0,
    };
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The names in a folder, sorted, so that reports are the same every time. Or -errno. */
static int list_folder(const char *path, struct dirent ***ret_names)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return -errno;
    int n = scandir(path, ret_names, NULL, compare_names);
    return n < 0 ? -errno : n;
}

static void load_links(struct audit_store *store)
{
    struct dirent **names = NULL;
    CLEANUP(io_close) int fd = open(AUDIT_HASH_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int n = fd < 0 ? -errno : list_folder(AUDIT_HASH_DIR, &names);
    if (n < 0) {
        store->links_problem = io_format("%s: %s", AUDIT_HASH_DIR, strerror(-n));
        return;
    }
    for (int i = 0; i < n; i++) {
        add_link(store, fd, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

static bool is_update_temporary(const char *name, const char *bundle)
{
    static const char helper[] = "ca-certificates.tmp."; /* all three releases */
    if (strncmp(name, helper, strlen(helper)) == 0)
        return true;
    size_t len = strlen(bundle); /* bullseye: mktemp -t BUNDLE.tmp.XXXXXX */
    return strncmp(name, bundle, len) == 0 && strncmp(name + len, ".tmp.", 5) == 0;
}

static void load_temporaries(struct audit_store *store, const char *bundle_path,
                             const char *ca_path)
{
    const char *slash = strrchr(bundle_path, '/');
    const char *bundle = slash ? slash + 1 : bundle_path;
    struct stat st;
    CLEANUP(io_free) char *next = io_format("%s.new", bundle_path); /* bookworm, trixie */
    CLEANUP(io_free) char *folder = io_format("%.*s", (int)(bundle - bundle_path), bundle_path);
    if (lstat(next, &st) == 0) {
        CLEANUP(io_free) char *name = io_format("%s.new", bundle);
        folder[strlen(folder) ? strlen(folder) - 1 : 0] = '\0';
        add_temporary(store, folder, name);
    }
    struct dirent **names = NULL;
    int n = list_folder("/tmp", &names);
    for (int i = 0; i < n; i++) {
        if (is_update_temporary(names[i]->d_name, bundle))
            add_temporary(store, "/tmp", names[i]->d_name);
        free(names[i]);
    }
    free(names);
    names = NULL;
    const char *ca_name = strrchr(ca_path, '/');
    CLEANUP(io_free)
    char *ca_folder = io_format("%.*s", ca_name ? (int)(ca_name - ca_path) : 0, ca_path);
    n = list_folder(*ca_folder ? ca_folder : "/", &names);
    for (int i = 0; i < n; i++) {
        if (is_upload(names[i]->d_name))
            add_temporary(store, ca_folder, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

static int compare_files(const struct stat *a, const struct stat *b)
{
    if (a->st_dev != b->st_dev)
        return a->st_dev < b->st_dev ? -1 : 1;
    return (a->st_ino > b->st_ino) - (a->st_ino < b->st_ino);
}

static int compare_roots(const void *a, const void *b)
{
    const struct audit_root *const *left = a, *const *right = b;
    return compare_files(&(*left)->st, &(*right)->st);
}

static int compare_root(const void *st, const void *root)
{
    return compare_files(st, &(*(const struct audit_root *const *)root)->st);
}

static void sort_roots(struct audit_store *store)
{
    store->by_inode = calloc(store->n_roots + 1, sizeof(struct audit_root *));
    if (!store->by_inode)
        abort();
    for (size_t i = 0; i < store->n_roots; i++)
        store->by_inode[i] = &store->roots[i];
    qsort(store->by_inode, store->n_roots, sizeof(struct audit_root *), compare_roots);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* The enabled root that was read from this very file, as it is now; or NULL. */
static const struct audit_root *root_of_file(const struct audit_store *store, const struct stat *st)
{
    const struct audit_root **found =
        bsearch(st, store->by_inode, store->n_roots, sizeof(struct audit_root *), compare_root);
    bool same = found && (*found)->st.st_size == st->st_size &&
                same_time(&(*found)->st.st_mtim, &st->st_mtim) &&
                same_time(&(*found)->st.st_ctim, &st->st_ctim);
    return same ? *found : NULL;
}

void audit_store_load(struct audit_store *store, const char *bundle_path, const char *ca_path)
{
    /* The bundle first: whatever else is large must not use up its part of the budget. */
    audit_store_read_certs(store, bundle_path, &store->bundle);
    for (size_t i = 0; i < store->bundle.n; i++)
        store->bundle.certs[i]->in_bundle++;
    load_conf(store);
    load_local(store);
    sort_roots(store);
    load_links(store);
    load_temporaries(store, bundle_path, ca_path);
}

const struct audit_root *audit_store_root(const struct audit_store *store, const char *path)
{
    for (size_t i = 0; i < store->n_roots; i++)
        if (strcmp(store->roots[i].path, path) == 0)
            return &store->roots[i];
    return NULL;
}

static int compare_link(const void *name, const void *link)
{
    return strcmp(name, ((const struct audit_link *)link)->name);
}

/* The link HASH.n, or NULL. */
static struct audit_link *find_link(const struct audit_store *store, unsigned long hash, unsigned n)
{
    char name[32];
    snprintf(name, sizeof name, "%08lx.%u", hash, n);
    return store->n_links
               ? bsearch(name, store->links, store->n_links, sizeof *store->links, compare_link)
               : NULL;
}

/* libcrypto opens whatever has the name: a FIFO would hold it, a device would feed it. */
static int check_hash_files(const struct audit_store *store, unsigned long hash, struct err *err)
{
    for (unsigned n = 0; n < AUDIT_STORE_MAX_FILES; n++) {
        char path[64];
        struct stat st;
        const struct audit_link *link = find_link(store, hash, n);
        snprintf(path, sizeof path, "%s/%08lx.%u", AUDIT_HASH_DIR, hash, n);
        if (link && !link->dangling)
            st = link->st;
        else if (stat(path, &st) < 0)
            return n > 0 ? 0 : err_text(err, ENOENT, "no %08lx.0", hash);
        if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > AUDIT_STORE_MAX_BYTES)
            return err_text(err, EINVAL, "%s is no regular file of a sane size", path);
    }
    return err_text(err, EINVAL, "too many files named %08lx", hash);
}

static void open_hash_dir(struct audit_store *store)
{
    store->hash_dir = X509_STORE_new();
    X509_LOOKUP *lookup =
        store->hash_dir ? X509_STORE_add_lookup(store->hash_dir, X509_LOOKUP_hash_dir()) : NULL;
    if (!lookup || !X509_LOOKUP_add_dir(lookup, AUDIT_HASH_DIR, X509_FILETYPE_PEM))
        abort();
}

void audit_store_read_link(struct audit_store *store, struct audit_link *link)
{
    if (link->is_read)
        return;
    const struct audit_root *root = root_of_file(store, &link->st);
    if (root && root->content.plain)
        audit_certs_copy(&root->content, &link->content);
    else {
        CLEANUP(io_free) char *path = io_format("%s/%s", AUDIT_HASH_DIR, link->name);
        audit_store_read_certs(store, path, &link->content);
    }
    for (size_t i = 0; i < link->content.n; i++)
        link->content.certs[i]->in_links++;
    link->is_read = true;
}

/*
 * Whether a client that loads HASH.0, HASH.1, ... comes to this certificate by links whose
 * files leave no question of how libcrypto takes them. False says nothing.
 */
static bool is_plainly_there(struct audit_store *store, const struct audit_cert *cert)
{
    for (unsigned n = 0; n < AUDIT_STORE_MAX_FILES; n++) {
        struct audit_link *link = find_link(store, cert->hash, n);
        if (!link)
            return false;
        audit_store_read_link(store, link);
        if (!link->content.plain)
            return false;
        for (size_t i = 0; i < link->content.n; i++)
            if (link->content.certs[i] == cert)
                return true;
    }
    return false;
}

int audit_store_find_hashed(struct audit_store *store, const struct audit_cert *cert,
                            struct err *err)
{
    int ret = check_hash_files(store, cert->hash, err);
    if (ret < 0)
        return ret;
    if (cert != store->ca && is_plainly_there(store, cert))
        return 0;
    if (!store->hash_dir)
        open_hash_dir(store);
    X509_STORE_CTX *lookup = X509_STORE_CTX_new();
    if (!lookup || !X509_STORE_CTX_init(lookup, store->hash_dir, NULL, NULL))
        abort();
    STACK_OF(X509) *found = X509_STORE_CTX_get1_certs(lookup, X509_get_subject_name(cert->x509));
    ret = -ENOENT;
    for (int i = 0; i < sk_X509_num(found); i++)
        if (X509_cmp(sk_X509_value(found, i), cert->x509) == 0)
            ret = 0;
    if (ret < 0)
        err_text(err, ENOENT, "%08lx.0 and its like hold another certificate, or none", cert->hash);
    sk_X509_pop_free(found, X509_free);
    X509_STORE_CTX_free(lookup);
    ERR_clear_error();
    return ret;
}
