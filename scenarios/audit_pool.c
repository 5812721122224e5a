#include "audit_pool.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define BEGIN "-----BEGIN CERTIFICATE-----\n"
#define END "-----END CERTIFICATE-----\n"
#define LINE_BYTES 48 /* of DER in one line of PEM */
/* Longer ones are decoded every time: no hostile file may make us search far and often. */
#define MAX_FOUND_BYTES 16384

static void cert_free(void *node)
{
    struct audit_cert *cert = node;
    X509_free(cert->x509);
    buf_release(&cert->text);
    free(cert);
}

void audit_pool_release(struct audit_pool *pool)
{
    tdestroy(pool->tree, cert_free);
    *pool = (struct audit_pool){0};
}

void audit_certs_release(struct audit_certs *certs)
{
    free(certs->certs);
    free(certs->problem);
    *certs = (struct audit_certs){0};
}

static int compare_certs(const void *a, const void *b)
{
    const struct audit_cert *left = a, *right = b;
    if (left->text.len != right->text.len)
        return left->text.len < right->text.len ? -1 : 1;
    return memcmp(left->text.data, right->text.data, left->text.len);
}

static void write_canonical(const unsigned char *der, size_t len, struct buf *text)
{
    buf_add(text, BEGIN);
    for (size_t done = 0; done < len; done += LINE_BYTES) {
        unsigned char line[LINE_BYTES / 3 * 4 + 1];
        size_t part = len - done < LINE_BYTES ? len - done : LINE_BYTES;
        int chars = EVP_EncodeBlock(line, der + done, (int)part);
        buf_append(text, line, (size_t)chars);
        buf_add(text, "\n");
    }
    buf_add(text, END);
}

static struct audit_cert *add(struct audit_pool *pool, const struct buf *text, X509 *x509,
                              unsigned long hash)
{
    struct audit_cert *cert = calloc(1, sizeof *cert);
    if (!cert)
        abort();
    *cert = (struct audit_cert){.x509 = x509, .hash = hash};
    buf_append(&cert->text, text->data, text->len);
    if (!tsearch(cert, &pool->tree, compare_certs))
        abort();
    return cert;
}

/* The certificate of this canonical text, when it was met before; else NULL. */
static struct audit_cert *find(struct audit_pool *pool, const struct buf *text)
{
    const struct audit_cert key = {.text = *text};
    struct audit_cert *const *found = tfind(&key, &pool->tree, compare_certs);
    if (found)
        return *found;
    found = pool->known ? tfind(&key, &pool->known->tree, compare_certs) : NULL;
    if (!found)
        return NULL;
    X509_up_ref((*found)->x509);
    return add(pool, text, (*found)->x509, (*found)->hash);
}

static struct audit_cert *take_der(struct audit_pool *pool, const unsigned char *der, long len)
{
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    write_canonical(der, (size_t)len, &text);
    struct audit_cert *cert = find(pool, &text);
    if (cert)
        return cert;
    const unsigned char *at = der;
    X509 *x509 = d2i_X509(NULL, &at, len);
    if (x509 && at == der + len)
        return add(pool, &text, x509,
                   X509_NAME_hash_ex(X509_get_subject_name(x509), NULL, NULL, NULL));
    X509_free(x509);
    return NULL;
}

/* A "TRUSTED CERTIFICATE" has settings behind the certificate: only the latter counts. */
static struct audit_cert *take_trusted(struct audit_pool *pool, const unsigned char *data, long len)
{
    X509 *x509 = d2i_X509_AUX(NULL, &data, len);
    unsigned char *der = NULL;
    int der_len = x509 ? i2d_X509(x509, &der) : -1;
    struct audit_cert *cert = der_len > 0 ? take_der(pool, der, der_len) : NULL;
    OPENSSL_free(der);
    X509_free(x509);
    return cert;
}

/* Reads the next PEM block: 1 with *ret_cert or NULL for another kind, 0 at the end, -1. */
static int decode(struct audit_pool *pool, const char *pem, size_t len, size_t *ret_used,
                  struct audit_cert **ret_cert)
{
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    long data_len = 0;
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    if (!bio)
        abort();
    ERR_clear_error();
    int ret = 1;
    if (!PEM_read_bio(bio, &name, &header, &data, &data_len))
        ret = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? 0 : -1;
    else if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
        ret = (*ret_cert = take_der(pool, data, data_len)) ? 1 : -1;
    else if (strcmp(name, PEM_STRING_X509_TRUSTED) == 0)
        ret = (*ret_cert = take_trusted(pool, data, data_len)) ? 1 : -1;
    *ret_used = len - BIO_ctrl_pending(bio);
    BIO_free(bio);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    ERR_clear_error();
    return ret;
}

/* The same for a text that may be one met before, which needs no decoding. */
static int next_cert(struct audit_pool *pool, char *pem, size_t len, size_t *ret_used,
                     struct audit_cert **ret_cert)
{
    const size_t begin_len = strlen(BEGIN), end_len = strlen(END);
    *ret_cert = NULL;
    if (len > begin_len && memcmp(pem, BEGIN, begin_len) == 0) {
        size_t near = len < MAX_FOUND_BYTES ? len : MAX_FOUND_BYTES;
        const char *end = memmem(pem, near, END, end_len);
        struct buf text = {.data = pem, .len = end ? (size_t)(end - pem) + end_len : 0};
        if (end && (*ret_cert = find(pool, &text))) {
            *ret_used = text.len;
            return 1;
        }
    }
    return decode(pool, pem, len, ret_used, ret_cert);
}

/* Makes room for one more: doubles at every power of two. */
static void append(struct audit_certs *certs, struct audit_cert *cert)
{
    if ((certs->n & (certs->n - 1)) == 0)
        certs->certs =
            reallocarray(certs->certs, certs->n ? 2 * certs->n : 1, sizeof certs->certs[0]);
    if (!certs->certs)
        abort();
    certs->certs[certs->n++] = cert;
}

void audit_certs_copy(const struct audit_certs *certs, struct audit_certs *ret_certs)
{
    struct audit_certs copy = {.plain = certs->plain};
    for (size_t i = 0; i < certs->n; i++)
        append(&copy, certs->certs[i]);
    copy.problem = certs->problem ? io_format("%s", certs->problem) : NULL;
    *ret_certs = copy;
}

void audit_pool_parse(struct audit_pool *pool, const struct buf *pem, struct audit_certs *ret_certs)
{
    struct audit_certs certs = {.plain = true};
    struct audit_cert *cert;
    size_t at = 0, used = 0;
    int ret = 1;
    while (at < pem->len &&
           (ret = next_cert(pool, pem->data + at, pem->len - at, &used, &cert)) > 0) {
        const char *block = pem->data + at;
        certs.plain &= cert && used == cert->text.len && !memcmp(block, cert->text.data, used);
        at += used;
        if (cert)
            append(&certs, cert);
    }
    certs.plain &= at == pem->len && certs.n > 0;
    if (ret < 0)
        certs.problem = io_format("torn or invalid after %zu good certificates", certs.n);
    *ret_certs = certs;
}
