/*
 * certs.h: certificates for the tests, made on the spot. Header only, because the tests of
 * impl/ are linked without the other tests' helpers. Every function aborts on failure.
 */
#ifndef TESTS_CERTS_H
#define TESTS_CERTS_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* What one certificate file is to hold; zeroes are one good CA certificate. */
struct cert_file {
    bool not_ca;
    int starts_in_days; /* 0: yesterday */
    int ends_in_days;   /* 0: in 30 days */
    int certs;          /* 0: one */
    bool der;
    bool private_key;
    const char *text_before;
    const char *only_text; /* this text instead of a certificate */
};

static inline void certs_check(bool good)
{
    if (!good)
        abort();
}

static inline X509 *certs_make(const struct cert_file *what, EVP_PKEY *key)
{
    X509 *x509 = X509_new();
    certs_check(x509 && X509_set_version(x509, 2));
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509),
                    86400L * (what->starts_in_days ? what->starts_in_days : -1));
    X509_gmtime_adj(X509_getm_notAfter(x509),
                    86400L * (what->ends_in_days ? what->ends_in_days : 30));
    X509_NAME *name = X509_get_subject_name(x509);
    const unsigned char *subject = (const unsigned char *)"killpoint test CA";
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, subject, -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_set_pubkey(x509, key);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints,
                                              what->not_ca ? "CA:FALSE" : "critical,CA:TRUE");
    certs_check(ext && X509_add_ext(x509, ext, -1));
    X509_EXTENSION_free(ext);
    certs_check(X509_sign(x509, key, EVP_sha256()) > 0);
    return x509;
}

/* Writes the file; ret_fingerprint (96 bytes) may be NULL. */
static inline void certs_write(const char *path, const struct cert_file *what,
                               char *ret_fingerprint)
{
    FILE *file = fopen(path, "we");
    certs_check(file);
    if (what->only_text) {
        fputs(what->only_text, file);
        fclose(file);
        return;
    }
    EVP_PKEY *key = EVP_EC_gen("P-256");
    certs_check(key);
    X509 *x509 = certs_make(what, key);
    if (what->text_before)
        fputs(what->text_before, file);
    if (what->private_key)
        certs_check(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL));
    for (int i = 0; i < (what->certs ? what->certs : 1); i++)
        certs_check(what->der ? i2d_X509_fp(file, x509) : PEM_write_X509(file, x509));
    fclose(file);
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    certs_check(X509_digest(x509, EVP_sha256(), sum, &len));
    for (unsigned int i = 0; ret_fingerprint && i < len; i++)
        snprintf(ret_fingerprint + 3 * i, 4, "%02X%s", sum[i], i + 1 < len ? ":" : "");
    X509_free(x509);
    EVP_PKEY_free(key);
}

#endif
