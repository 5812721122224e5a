#include "cert.h"

#include <errno.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "file.h"

static void free_bio(BIO **bio)
{
    BIO_free(*bio);
}

static void free_x509(X509 **x509)
{
    X509_free(*x509);
}

/* The one place where OpenSSL's error queue becomes our error; the queue ends empty. */
static int openssl_error(struct error *error, const char *path, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return error_set(error, EINVAL, "%s: %s: %s", path, what, reason ? reason : "unknown reason");
}

/* What a file's PEM blocks are; cert is the first certificate. */
struct blocks {
    X509 *cert;
    int certs;
    bool private_key;
};

static void blocks_release(struct blocks *blocks)
{
    X509_free(blocks->cert);
}

static bool is_certificate(const char *name)
{
    return strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0;
}

static bool is_private_key(const char *name)
{
    static const char tail[] = "PRIVATE KEY";
    size_t len = strlen(name);
    return len >= sizeof tail - 1 && strcmp(name + len - (sizeof tail - 1), tail) == 0;
}

/* Returns 1 after a block, 0 behind the last, or -EINVAL. */
static int read_block(BIO *bio, const char *path, struct blocks *blocks, struct error *error)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long der_len = 0;
    if (!PEM_read_bio(bio, &name, &header, &der, &der_len)) {
        if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
            return openssl_error(error, path, "broken PEM block");
        ERR_clear_error();
        return 0;
    }
    int ret = 1;
    if (is_private_key(name))
        blocks->private_key = true;
    if (is_certificate(name) && blocks->certs++ == 0) {
        const unsigned char *at = der;
        blocks->cert = d2i_X509(NULL, &at, der_len);
        if (!blocks->cert)
            ret = openssl_error(error, path, "broken certificate");
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, der_len > 0 ? (size_t)der_len : 0);
    return ret;
}

static int refuse_empty_and_der(const char *path, const char *data, size_t len, struct error *error)
{
    if (strspn(data, " \t\r\n\v\f") == len)
        return error_set(error, EINVAL, "%s: the file is empty", path);
    union {
        const char *text;
        const unsigned char *bytes;
    } at = {.text = data};
    CLEANUP(free_x509) X509 *der = d2i_X509(NULL, &at.bytes, (long)len);
    ERR_clear_error();
    if (der)
        return error_set(error, EINVAL, "%s: the certificate is in DER form, PEM is needed", path);
    return 0;
}

static int check_strict(const char *path, const struct blocks *blocks, struct error *error)
{
    if (blocks->private_key)
        return error_set(error, EINVAL,
                         "%s: holds a private key, which would be copied into the guest", path);
    if (X509_check_ca(blocks->cert) != 1)
        return error_set(error, EINVAL,
                         "%s: not a CA certificate, basicConstraints does not say CA:TRUE", path);
    if (X509_cmp_current_time(X509_get0_notBefore(blocks->cert)) >= 0)
        return error_set(error, EINVAL, "%s: the certificate is not yet valid", path);
    if (X509_cmp_current_time(X509_get0_notAfter(blocks->cert)) <= 0)
        return error_set(error, EINVAL, "%s: the certificate has expired", path);
    return 0;
}

static int digest(const char *path, const char *data, size_t len, X509 *x509, struct cert *cert,
                  struct error *error)
{
    unsigned char print[EVP_MAX_MD_SIZE], sum[EVP_MAX_MD_SIZE];
    unsigned int print_len = 0, sum_len = 0;
    if (!X509_digest(x509, EVP_sha256(), print, &print_len) ||
        !EVP_Digest(data, len, sum, &sum_len, EVP_sha256(), NULL))
        return openssl_error(error, path, "SHA-256");
    for (size_t i = 0; i < print_len; i++)
        snprintf(cert->fingerprint + 3 * i, sizeof cert->fingerprint - 3 * i, "%02X%s", print[i],
                 i + 1 < print_len ? ":" : "");
    for (size_t i = 0; i < sum_len; i++)
        snprintf(cert->file_sha256 + 2 * i, sizeof cert->file_sha256 - 2 * i, "%02x", sum[i]);
    return 0;
}

int cert_load(const char *path, bool strict, struct cert *ret_cert, struct error *error)
{
    CLEANUP(free_text) char *data = NULL;
    size_t len = 0;
    int ret = file_read(path, &data, &len, error);
    if (ret == 0)
        ret = refuse_empty_and_der(path, data, len, error);
    if (ret < 0)
        return ret;

    CLEANUP(free_bio) BIO *bio = BIO_new_mem_buf(data, (int)len);
    CLEANUP(blocks_release) struct blocks blocks = {NULL, 0, false};
    if (!bio)
        return openssl_error(error, path, "cannot parse");
    while ((ret = read_block(bio, path, &blocks, error)) > 0)
        ;
    if (ret < 0)
        return ret;
    if (blocks.certs == 0)
        return error_set(error, EINVAL, "%s: no certificate in PEM form in it", path);
    if (blocks.certs > 1)
        return error_set(error, EINVAL, "%s: %d certificates in it, exactly one is needed", path,
                         blocks.certs);
    if (strict && (ret = check_strict(path, &blocks, error)) < 0)
        return ret;
    struct cert cert;
    if ((ret = digest(path, data, len, blocks.cert, &cert, error)) < 0)
        return ret;
    *ret_cert = cert;
    return 0;
}
