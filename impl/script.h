/*
 * script.h: the shell scripts that run inside the guest.
 *
 * Each is one argument of `sh -c`, for a POSIX shell. Its exit status is the contract:
 * 0 says that the CA is installed and verified, 137 that something in it died by SIGKILL,
 * anything else is the failing tool's own status.
 */
#ifndef PROVISION_SCRIPT_H
#define PROVISION_SCRIPT_H

/* One shell word that means text, quoted only where it must be; the caller frees it. */
char *script_quote(const char *text);

/* chown, chmod, update-ca-certificates and openssl verify, joined by &&. */
char *script_upstream(const char *ca_path, const char *bundle_path);

/*
 * The same installation, but it heals first what a killed one left and at the end believes
 * files only. The bundle's folder is taken for the certificate folder. README.md says what each
 * line is for. file_sha256: of the certificate file as it was sent.
 */
char *script_hardened(const char *ca_path, const char *bundle_path, const char *file_sha256);

#endif
