/*
 * audit_pool.h: certificates from PEM texts, each different one parsed once.
 *
 * libcrypto takes 0.1 ms to parse a certificate, and a store holds 140 of them four times.
 * A pool knows each by its canonical text, the PEM that PEM_write_bio_X509(3) writes of its
 * DER bytes: two certificates have the same text exactly when they have the same bytes.
 * A block that is such a text needs no decoding; any other block goes through libcrypto.
 *
 * `known` is a pool that was filled before, in the process that this one was forked from. It
 * saves parsing, no more: a certificate comes into a pool, and into the lists of
 * audit_pool_parse(), only when its text was read.
 */
#ifndef KILLPOINT_AUDIT_POOL_H
#define KILLPOINT_AUDIT_POOL_H

#include <openssl/x509.h>

#include "../fault/io.h"

/* One different certificate. In one pool two pointers are equal exactly when they are. */
struct audit_cert {
    struct buf text; /* the canonical one */
    X509 *x509;
    unsigned long hash;  /* of the subject: NAME in `NAME.0` */
    unsigned in_bundle;  /* how often the bundle holds it */
    unsigned in_enabled; /* how many enabled files hold it */
    unsigned in_links;   /* how often the hash links that were read led to it */
};

/* The certificates of one PEM file, in order; the list is owned, the certificates are not. */
struct audit_certs {
    struct audit_cert **certs;
    size_t n;
    bool plain;    /* canonical texts one after the other, and not one byte else */
    char *problem; /* NULL: all of it could be read */
};

struct audit_pool {
    void *tree;                     /* tsearch(3), by text */
    const struct audit_pool *known; /* borrowed; NULL: nothing is known beforehand */
};

void audit_pool_release(struct audit_pool *pool);

/*
 * Reads PEM as the loaders of libcrypto do: blocks of other kinds and text between blocks
 * are passed over, and the first bad block ends it, with a problem. A "TRUSTED CERTIFICATE"
 * counts as the certificate in it.
 */
void audit_pool_parse(struct audit_pool *pool, const struct buf *pem,
                      struct audit_certs *ret_certs);
/* A second list of the same certificates. */
void audit_certs_copy(const struct audit_certs *certs, struct audit_certs *ret_certs);
void audit_certs_release(struct audit_certs *certs);

#endif
