/*
 * audit_tls.h: TLS handshakes in memory: does a client trust what the CA issues?
 *
 * A server certificate for "localhost" is issued by the CA with a fresh key; a client
 * and a server talk through a pair of memory BIOs. The client trusts one bundle or one
 * hash directory and nothing else. No socket, no process.
 */
#ifndef KILLPOINT_AUDIT_TLS_H
#define KILLPOINT_AUDIT_TLS_H

#include <openssl/evp.h>

#include "audit_pool.h"

/* What the server shows: start it with zeros. */
struct audit_tls_server {
    X509 *cert;
    EVP_PKEY *key;
};

void audit_tls_server_release(struct audit_tls_server *server);

/*
 * Issues the server's certificate. Lasts from an hour ago for a day, as a proxy's do.
 * Errors: -EINVAL, ca_key is not ca's key; -EIO, libcrypto refused.
 */
int audit_tls_server_init(struct audit_tls_server *ret_server, X509 *ca, EVP_PKEY *ca_key,
                          struct err *err);

/*
 * Does one handshake, TLS 1.2 or later, name checked. Exactly one of bundle_path and
 * hash_dir is given; the caller has made sure that opening them blocks nobody.
 * Returns 0. Errors: -EPROTO, the client does not trust the server, text says why (the
 * words of X509_verify_cert_error_string(3)); -EIO, libssl refused, or the bundle cannot
 * be loaded.
 */
int audit_tls_handshake(const struct audit_tls_server *server, const char *bundle_path,
                        const char *hash_dir, struct err *err);

/*
 * The same for the bundle that these certificates were read from. Loading a file parses
 * each certificate anew and then does just this: it puts them into the client's
 * X509_STORE, in their order. So it is the same client only when the bundle is `plain`;
 * of any other, SSL_CTX_load_verify_file(3) must say itself what it makes.
 */
int audit_tls_handshake_certs(const struct audit_tls_server *server,
                              const struct audit_certs *bundle, struct err *err);

#endif
