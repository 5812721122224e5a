#include "audit_tls.h"

#include <errno.h>
#include <stdbool.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "../fault/io.h"

#define SERVER_NAME "localhost"
#define CERT_SECONDS (30 * 86400) /* longer than any run */

/* libcrypto's queue becomes our error: its first entry is the cause. */
static int openssl_error(struct err *err, const char *what)
{
    char text[256];
    unsigned long code = ERR_get_error();
    ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return err_text(err, EIO, "%s: %s", what, code ? text : "failed");
}

void audit_tls_pair_release(struct audit_tls_pair *pair)
{
    SSL_CTX_free(pair->server);
    SSL_CTX_free(pair->client);
    *pair = (struct audit_tls_pair){0};
}

static bool add_extension(X509 *cert, X509 *ca, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, ca, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    bool ok = extension && X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static bool issue(X509 *cert, EVP_PKEY *key, X509 *ca, EVP_PKEY *ca_key)
{
    int kind = EVP_PKEY_get_id(ca_key);
    const EVP_MD *digest = kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_ED448 ? NULL : EVP_sha256();
    X509_NAME *name = X509_get_subject_name(cert);
    return X509_set_version(cert, X509_VERSION_3) &&
           ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) &&
           X509_gmtime_adj(X509_getm_notBefore(cert), -3600) &&
           X509_gmtime_adj(X509_getm_notAfter(cert), CERT_SECONDS) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)SERVER_NAME,
                                      -1, -1, 0) &&
           X509_set_issuer_name(cert, X509_get_subject_name(ca)) && X509_set_pubkey(cert, key) &&
           add_extension(cert, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           add_extension(cert, ca, NID_ext_key_usage, "serverAuth") &&
           add_extension(cert, ca, NID_subject_alt_name, "DNS:" SERVER_NAME) &&
           X509_sign(cert, ca_key, digest) > 0;
}

static void free_cert(X509 **cert)
{
    X509_free(*cert);
}

static void free_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

int audit_tls_pair_init(struct audit_tls_pair *ret_pair, X509 *ca, EVP_PKEY *ca_key,
                        struct err *err)
{
    if (!X509_check_private_key(ca, ca_key)) {
        ERR_clear_error();
        return err_text(err, EINVAL, "the CA's key does not belong to the CA");
    }
    CLEANUP(free_key) EVP_PKEY *key = EVP_EC_gen("P-256");
    CLEANUP(free_cert) X509 *cert = X509_new();
    if (!key || !cert || !issue(cert, key, ca, ca_key))
        return openssl_error(err, "issue a server certificate");
    CLEANUP(audit_tls_pair_release)
    struct audit_tls_pair pair = {SSL_CTX_new(TLS_server_method()),
                                  SSL_CTX_new(TLS_client_method())};
    if (!pair.server || !pair.client ||
        !SSL_CTX_set_min_proto_version(pair.server, TLS1_2_VERSION) ||
        !SSL_CTX_set_min_proto_version(pair.client, TLS1_2_VERSION) ||
        SSL_CTX_use_certificate(pair.server, cert) != 1 ||
        SSL_CTX_use_PrivateKey(pair.server, key) != 1)
        return openssl_error(err, "set up the server and its client");
    SSL_CTX_set_verify(pair.client, SSL_VERIFY_PEER, NULL);
    *ret_pair = pair;
    pair = (struct audit_tls_pair){0};
    return 0;
}

static bool connect_pair(SSL *client, SSL *server)
{
    BIO *near = NULL, *far = NULL;
    if (!BIO_new_bio_pair(&near, 0, &far, 0))
        return false;
    SSL_set_bio(client, near, near);
    SSL_set_bio(server, far, far);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    return SSL_set1_host(client, SERVER_NAME) == 1;
}

/* One side's step: 1 done, 0 it waits for the other side, -1 failed. */
static int step(SSL *ssl)
{
    int ret = SSL_do_handshake(ssl);
    if (ret == 1)
        return 1;
    int why = SSL_get_error(ssl, ret);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int talk(SSL *client, SSL *server, struct err *err)
{
    /* A handshake takes three turns at most; the bound is for bugs. */
    for (int turn = 0; turn < 100; turn++) {
        int ours = step(client);
        long verdict = SSL_get_verify_result(client);
        if (ours < 0 && verdict != X509_V_OK) {
            ERR_clear_error();
            return err_text(err, EPROTO, "%s", X509_verify_cert_error_string(verdict));
        }
        int theirs = ours < 0 ? 0 : step(server);
        if (ours < 0 || theirs < 0)
            return openssl_error(err, "handshake");
        if (ours == 1 && theirs == 1)
            return 0;
    }
    return err_text(err, EIO, "the handshake does not end");
}

static void free_ssl(SSL **ssl)
{
    SSL_free(*ssl);
}

static void free_store(X509_STORE **store)
{
    X509_STORE_free(*store);
}

static int handshake(const struct audit_tls_pair *pair, X509_STORE *roots, struct err *err)
{
    CLEANUP(free_ssl) SSL *client = SSL_new(pair->client);
    CLEANUP(free_ssl) SSL *server = SSL_new(pair->server);
    if (!client || !server || SSL_set1_verify_cert_store(client, roots) != 1 ||
        !connect_pair(client, server))
        return openssl_error(err, "set up the handshake");
    return talk(client, server, err);
}

int audit_tls_handshake(const struct audit_tls_pair *pair, const char *bundle_path,
                        const char *hash_dir, struct err *err)
{
    ERR_clear_error();
    CLEANUP(free_store) X509_STORE *roots = X509_STORE_new();
    if (!roots || (bundle_path && X509_STORE_load_file(roots, bundle_path) != 1) ||
        (hash_dir && X509_STORE_load_path(roots, hash_dir) != 1))
        return openssl_error(err, "the client cannot load its roots");
    return handshake(pair, roots, err);
}

int audit_tls_handshake_certs(const struct audit_tls_pair *pair, const struct audit_certs *bundle,
                              struct err *err)
{
    ERR_clear_error();
    CLEANUP(free_store) X509_STORE *roots = X509_STORE_new();
    bool loaded = roots != NULL;
    for (size_t i = 0; i < bundle->n && loaded; i++)
        loaded = X509_STORE_add_cert(roots, bundle->certs[i]->x509) == 1;
    if (!loaded)
        return openssl_error(err, "the client cannot load its roots");
    return handshake(pair, roots, err);
}
