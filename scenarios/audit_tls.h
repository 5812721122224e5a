/*
 * audit_tls.h: TLS handshakes in memory: does a client trust what the CA issues?
 *
 * A server certificate for "localhost" is issued by the CA with a fresh key; a client
 * and a server talk through a pair of memory BIOs. The client trusts one bundle or one
 * hash directory and nothing else. No socket, no process.
 *
 * To issue and to set both sides up takes longer than a handshake, so a pair serves any
 * number of them, in this process and in its forks.
 */
#ifndef KILLPOINT_AUDIT_TLS_H
#define KILLPOINT_AUDIT_TLS_H

#include <openssl/ssl.h>

#include "audit_pool.h"

/* A server with its certificate, a client that trusts nobody yet. Start it with zeros. */
struct audit_tls_pair {
    SSL_CTX *server, *client;
};

void audit_tls_pair_release(struct audit_tls_pair *pair);

/*
 * Issues the server's certificate, valid from an hour ago for a month, and sets both up.
 * Errors: -EINVAL, ca_key is not ca's key; -EIO, libcrypto or libssl refused.
 */
int audit_tls_pair_init(struct audit_tls_pair *ret_pair, X509 *ca, EVP_PKEY *ca_key,
                        struct err *err);

/*
 * Does one handshake, TLS 1.2 or later, name checked. Exactly one of bundle_path and
 * hash_dir is given; the caller has made sure that opening them blocks nobody.
 * Returns 0. Errors: -EPROTO, the client does not trust the server, text says why (the
 * words of X509_verify_cert_error_string(3)); -EIO, libssl refused, or the bundle cannot
 * be loaded.
 */
int audit_tls_handshake(const struct audit_tls_pair *pair, const char *bundle_path,
                        const char *hash_dir, struct err *err);

/*
 * The same for the bundle that these certificates were read from. Loading a file parses
 * each certificate anew and then does just this: it puts them into the client's
 * X509_STORE, in their order. So it is the same client only when the bundle is `plain`;
 * of any other, X509_STORE_load_file(3) must say itself what it makes.
 */
int audit_tls_handshake_certs(const struct audit_tls_pair *pair, const struct audit_certs *bundle,
                              struct err *err);

#endif
