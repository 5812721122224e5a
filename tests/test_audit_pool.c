#include "support.h"

#include <fcntl.h>
#include <string.h>

#include <openssl/pem.h>

#include "../scenarios/audit_tls.h"

#define FIX "scenarios/fixtures/"
#define CA "cat " FIX "ca.crt; "
#define ROTATED "cat " FIX "rotated.crt; "

static const struct {
    const char *name;
    const char *script; /* prints the PEM */
    size_t n;
    bool plain, problem;
} cases[] = {
    {"nothing", ":", 0, false, false},
    {"text alone", "echo text", 0, false, false},
    {"one", CA, 1, true, false},
    {"two", CA ROTATED, 2, true, false},
    {"one twice", CA CA, 2, true, false},
    {"no newline at the end", "printf %s \"$(" CA ")\"", 1, false, false},
    {"an empty line between", CA "echo; " ROTATED, 2, false, false},
    {"text before", "echo text; " CA, 1, false, false},
    {"text after", CA "echo text", 1, false, false},
    {"lines that end as DOS has it", "(" CA ") | sed 's/$/\\r/'", 1, false, false},
    {"other lengths of lines",
     "openssl x509 -in " FIX "ca.crt -outform DER | (echo "
     "-----BEGIN CERTIFICATE-----; base64 -w 60; echo -----END CERTIFICATE-----)",
     1, false, false},
    {"the old name", "(" CA ") | sed 's/CERTIFICATE/X509 CERTIFICATE/'", 1, false, false},
    {"a key between", CA "cat " FIX "ca.key; " ROTATED, 2, false, false},
    {"torn", CA "head -c 300 " FIX "rotated.crt", 1, false, true},
    {"one character changed", CA "sed '5s/[A-Z]/!/' " FIX "rotated.crt; " CA, 1, false, true},
    {"a tail behind the DER bytes",
     "openssl x509 -in " FIX "ca.crt -outform DER | (echo "
     "-----BEGIN CERTIFICATE-----; (cat; echo) | base64 -w 64; echo -----END CERTIFICATE-----)",
     0, false, true},
};

static void parse(struct audit_pool *pool, const char *script, struct audit_certs *ret_certs)
{
    struct run done = run_sh("%s", script);
    check_success(&done);
    CLEANUP(buf_release) struct buf pem = BUF_INIT;
    buf_add(&pem, done.out);
    run_release(&done);
    audit_pool_parse(pool, &pem, ret_certs);
}

static void check_all(const struct audit_pool *known)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CLEANUP(audit_pool_release) struct audit_pool pool = {.known = known};
        for (int pass = 0; pass < 2; pass++) { /* the second finds all in the pool */
            CLEANUP(audit_certs_release) struct audit_certs certs = {0};
            parse(&pool, cases[i].script, &certs);
            if (certs.n != cases[i].n || certs.plain != cases[i].plain ||
                !certs.problem == cases[i].problem)
                fail_msg("%s: %zu certificates, %s, %s", cases[i].name, certs.n,
                         certs.plain ? "plain" : "not plain",
                         certs.problem ? certs.problem : "no problem");
        }
    }
}

static void texts_are_read_as_libcrypto_reads_them(void **state)
{
    (void)state;
    check_all(NULL);
}

static void what_is_known_changes_no_reading(void **state)
{
    (void)state;
    CLEANUP(audit_pool_release) struct audit_pool known = {0};
    CLEANUP(audit_certs_release) struct audit_certs certs = {0};
    parse(&known, CA ROTATED, &certs);
    check_all(&known);
}

static void a_certificate_is_one_however_it_is_written(void **state)
{
    (void)state;
    CLEANUP(audit_pool_release) struct audit_pool pool = {0};
    CLEANUP(audit_certs_release) struct audit_certs certs = {0};
    parse(&pool, CA "(" CA ") | sed 's/$/\\r/'; " ROTATED CA, &certs);
    assert_int_equal(certs.n, 4);
    assert_ptr_equal(certs.certs[0], certs.certs[1]);
    assert_ptr_equal(certs.certs[0], certs.certs[3]);
    assert_ptr_not_equal(certs.certs[0], certs.certs[2]);
    assert_int_equal(certs.certs[0]->hash, 0x451e2d0a);
}

static void the_canonical_text_is_what_libcrypto_writes(void **state)
{
    (void)state;
    CLEANUP(audit_pool_release) struct audit_pool pool = {0};
    CLEANUP(audit_certs_release) struct audit_certs certs = {0};
    parse(&pool, "cat " FIX "ca.crt " FIX "rotated.crt " FIX "pipelock.crt " FIX "leaf.crt",
          &certs);
    assert_int_equal(certs.n, 4);
    for (size_t i = 0; i < certs.n; i++) {
        BIO *bio = BIO_new(BIO_s_mem());
        char *text = NULL;
        assert_int_equal(PEM_write_bio_X509(bio, certs.certs[i]->x509), 1);
        assert_int_equal(BIO_get_mem_data(bio, &text), certs.certs[i]->text.len);
        assert_memory_equal(text, certs.certs[i]->text.data, certs.certs[i]->text.len);
        BIO_free(bio);
    }
}

/* A known one is shared; only what was read is in the pool, so its owner may go first. */
static void a_known_certificate_is_taken_not_parsed(void **state)
{
    (void)state;
    struct audit_pool known = {0};
    CLEANUP(audit_certs_release) struct audit_certs learned = {0};
    parse(&known, CA ROTATED, &learned);
    CLEANUP(audit_pool_release) struct audit_pool pool = {.known = &known};
    CLEANUP(audit_certs_release) struct audit_certs certs = {0};
    parse(&pool, CA, &certs);
    assert_ptr_equal(certs.certs[0]->x509, learned.certs[0]->x509);
    assert_ptr_not_equal(certs.certs[0], learned.certs[0]);
    audit_pool_release(&known);
    assert_int_equal(X509_get_version(certs.certs[0]->x509), X509_VERSION_3);
}

/* The client that is given certificates judges as the one that loads their file. */
static void both_clients_of_a_bundle_agree(void **state)
{
    (void)state;
    static const char *const issuers[] = {"ca", "rotated", "expired", "future", "leaf"};
    static const char *const bundles[] = {"ca.crt",      "rotated.crt", "two.crt",
                                          "expired.crt", "future.crt",  "leaf.crt"};
    CLEANUP(audit_pool_release) struct audit_pool pool = {0};
    for (size_t i = 0; i < sizeof issuers / sizeof *issuers; i++) {
        CLEANUP(audit_certs_release) struct audit_certs ca = {0};
        CLEANUP(audit_tls_pair_release) struct audit_tls_pair pair = {0};
        CLEANUP(io_free) char *print = io_format("cat " FIX "%s.crt", issuers[i]);
        bool own_key = strcmp(issuers[i], "rotated") == 0;
        FILE *file = fopen(own_key ? FIX "rotated.key" : FIX "ca.key", "re");
        EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
        if (!key)
            fail_msg("no key (the tests run from the top folder)");
        fclose(file);
        parse(&pool, print, &ca);
        struct err err;
        assert_int_equal(audit_tls_pair_init(&pair, ca.certs[0]->x509, key, &err), 0);
        EVP_PKEY_free(key);
        for (size_t j = 0; j < sizeof bundles / sizeof *bundles; j++) {
            CLEANUP(audit_certs_release) struct audit_certs bundle = {0};
            CLEANUP(io_free) char *path = io_format(FIX "%s", bundles[j]);
            CLEANUP(io_free) char *print_bundle = io_format("cat %s", path);
            struct err loaded = {""}, given = {""};
            parse(&pool, print_bundle, &bundle);
            assert_true(bundle.plain);
            int by_file = audit_tls_handshake(&pair, path, NULL, &loaded);
            int by_certs = audit_tls_handshake_certs(&pair, &bundle, &given);
            if (by_file != by_certs || strcmp(loaded.msg, given.msg) != 0)
                fail_msg("%s by %s: %d (%s), but %d (%s)", issuers[i], bundles[j], by_file,
                         loaded.msg, by_certs, given.msg);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_as_libcrypto_reads_them),
        cmocka_unit_test(what_is_known_changes_no_reading),
        cmocka_unit_test(a_certificate_is_one_however_it_is_written),
        cmocka_unit_test(the_canonical_text_is_what_libcrypto_writes),
        cmocka_unit_test(a_known_certificate_is_taken_not_parsed),
        cmocka_unit_test(both_clients_of_a_bundle_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
