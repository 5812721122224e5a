#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "../scenarios/audit_tls.h"

#define FIX "scenarios/fixtures/"

static X509 *read_cert(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("open %s (the tests run from the top folder)", path);
    X509 *cert = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(cert);
    return cert;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    EVP_PKEY *key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    assert_non_null(key);
    return key;
}

static int make_pair(const char *ca_path, const char *key_path, struct audit_tls_pair *pair,
                     struct err *err)
{
    X509 *ca = read_cert(ca_path);
    EVP_PKEY *key = read_key(key_path);
    int ret = audit_tls_pair_init(pair, ca, key, err);
    X509_free(ca);
    EVP_PKEY_free(key);
    return ret;
}

static const struct {
    const char *name;
    const char *ca, *key; /* who issues the server's certificate */
    const char *bundle;   /* what the client trusts */
    int ret;
    const char *text;
} cases[] = {
    {"its CA alone", "ca.crt", "ca.key", "ca.crt", 0, ""},
    {"its CA among others", "rotated.crt", "rotated.key", "two.crt", 0, ""},
    {"another CA", "ca.crt", "ca.key", "rotated.crt", -EPROTO,
     "unable to get local issuer certificate"},
    {"a leaf is no CA", "leaf.crt", "ca.key", "leaf.crt", -EPROTO, "CA cert"},
    {"a CA that has expired", "expired.crt", "ca.key", "expired.crt", -EPROTO,
     "certificate has expired"},
    {"a CA of the future", "future.crt", "ca.key", "future.crt", -EPROTO,
     "certificate is not yet valid"},
    {"a bundle without certificates", "ca.crt", "ca.key", "none.crt", -EIO, "load its roots"},
    {"an empty bundle", "ca.crt", "ca.key", "empty.crt", -EIO, "load its roots"},
    {"no bundle", "ca.crt", "ca.key", "nonexistent.crt", -EIO, "load its roots"},
};

static void a_client_trusts_exactly_what_its_bundle_holds(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(audit_tls_pair_release) struct audit_tls_pair pair = {0};
        CLEANUP(io_free) char *ca = io_format(FIX "%s", cases[i].ca);
        CLEANUP(io_free) char *key = io_format(FIX "%s", cases[i].key);
        CLEANUP(io_free) char *bundle = io_format(FIX "%s", cases[i].bundle);
        struct err err = {""};
        assert_int_equal(make_pair(ca, key, &pair, &err), 0);
        int ret = audit_tls_handshake(&pair, bundle, NULL, &err);
        if (ret != cases[i].ret || !strstr(err.msg, cases[i].text))
            fail_msg("%s: returns %d (%s)", cases[i].name, ret, err.msg);
    }
}

static void a_client_finds_the_ca_by_its_hash_link_only(void **state)
{
    (void)state;
    CLEANUP(dir_remove) char *dir = dir_make();
    CLEANUP(io_free) char *link = io_format("%s/451e2d0a.0", dir);
    CLEANUP(audit_tls_pair_release) struct audit_tls_pair pair = {0};
    CLEANUP(buf_release) struct buf pem = BUF_INIT;
    struct err err;
    assert_int_equal(make_pair(FIX "ca.crt", FIX "ca.key", &pair, &err), 0);
    assert_int_equal(io_read_file(AT_FDCWD, FIX "ca.crt", &pem, 1 << 20, &err), 0);
    CLEANUP(io_free) char *file = io_format("%s/ca.pem", dir);
    assert_int_equal(io_write_file(AT_FDCWD, file, pem.data, pem.len, 0644, &err), 0);
    assert_int_equal(audit_tls_handshake(&pair, NULL, dir, &err), -EPROTO);
    assert_int_equal(symlink("ca.pem", link), 0);
    assert_int_equal(audit_tls_handshake(&pair, NULL, dir, &err), 0);
}

/* The client must not fall back to the places that OpenSSL knows of by default. */
static void the_environment_adds_no_roots(void **state)
{
    (void)state;
    CLEANUP(audit_tls_pair_release) struct audit_tls_pair pair = {0};
    struct err err;
    setenv("SSL_CERT_FILE", FIX "ca.crt", 1);
    assert_int_equal(make_pair(FIX "ca.crt", FIX "ca.key", &pair, &err), 0);
    assert_int_equal(audit_tls_handshake(&pair, FIX "pipelock.crt", NULL, &err), -EPROTO);
    unsetenv("SSL_CERT_FILE");
}

static void a_key_of_another_ca_is_refused(void **state)
{
    (void)state;
    struct audit_tls_pair pair = {0};
    struct err err;
    assert_int_equal(make_pair(FIX "ca.crt", FIX "rotated.key", &pair, &err), -EINVAL);
    assert_null(pair.server);
}

static const struct {
    const char *file;
    const char *hash; /* of the subject: scenarios' addresses contain it */
} fixtures[] = {
    {"ca.crt", "451e2d0a"},   {"rotated.crt", "33f43a91"}, {"pipelock.crt", "a4c30883"},
    {"leaf.crt", "15ad435d"}, {"expired.crt", "ca0b1483"}, {"future.crt", "b4bd4f0d"},
};

static void fixture_certificates_keep_their_hashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof *fixtures; i++) {
        CLEANUP(io_free) char *path = io_format(FIX "%s", fixtures[i].file);
        X509 *cert = read_cert(path);
        unsigned long hash = X509_NAME_hash_ex(X509_get_subject_name(cert), NULL, NULL, NULL);
        X509_free(cert);
        CLEANUP(io_free) char *text = io_format("%08lx", hash);
        assert_string_equal(text, fixtures[i].hash);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_trusts_exactly_what_its_bundle_holds),
        cmocka_unit_test(a_client_finds_the_ca_by_its_hash_link_only),
        cmocka_unit_test(the_environment_adds_no_roots),
        cmocka_unit_test(a_key_of_another_ca_is_refused),
        cmocka_unit_test(fixture_certificates_keep_their_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
