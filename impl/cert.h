/*
 * cert.h: what may be installed as a CA certificate.
 *
 * The file is judged before any driver is called. Both policies refuse a file that cannot
 * be read, is empty, is DER, or does not hold exactly one certificate in PEM form. Text
 * around the PEM block is allowed, as OpenSSL allows it. The strict rules refuse, besides,
 * what could not serve as a CA, and a private key, which would be copied into the guest.
 */
#ifndef PROVISION_CERT_H
#define PROVISION_CERT_H

#include <stdbool.h>

#include "error.h"

#define CERT_FINGERPRINT_SIZE 96 /* 32 bytes as "AA:", the last ':' being the NUL */
#define CERT_DIGEST_SIZE 65

struct cert {
    char fingerprint[CERT_FINGERPRINT_SIZE]; /* SHA-256 of the DER form, "AB:CD:..." */
    char file_sha256[CERT_DIGEST_SIZE];      /* of the file's bytes, "abcd...", as sha256sum */
};

/*
 * Judges one file. strict adds: CA:TRUE, valid now, no private key in the file.
 * Errors: file_read()'s; EINVAL for everything that is refused. The text names the file.
 * Source: RFC 7468, RFC 5280 section 4.2.1.9.
 */
int cert_load(const char *path, bool strict, struct cert *ret_cert, struct error *error);

#endif
