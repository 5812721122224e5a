#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../impl/cert.h"
#include "certs.h"

/* What each policy says of a file: NULL accepts, else a part of the error's text. */
struct row {
    const char *name;
    struct cert_file file;
    const char *upstream;
    const char *hardened;
};

static const struct row rows[] = {
    {"a good CA", {0}, NULL, NULL},
    {"text before the block", {.text_before = "Subject: CN = x\n\n"}, NULL, NULL},
    {"empty", {.only_text = ""}, "the file is empty", "the file is empty"},
    {"blanks alone", {.only_text = " \n\t\n"}, "the file is empty", "the file is empty"},
    {"no PEM", {.only_text = "hello\n"}, "no certificate", "no certificate"},
    {"DER", {.der = true}, "DER form", "DER form"},
    {"two certificates", {.certs = 2}, "2 certificates", "2 certificates"},
    {"truncated block",
     {.only_text = "-----BEGIN CERTIFICATE-----\nMIIB\n"},
     "broken PEM block",
     "broken PEM block"},
    {"no certificate in the block",
     {.only_text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"},
     "broken certificate",
     "broken certificate"},
    {"another kind of block",
     {.only_text = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"},
     "no certificate",
     "no certificate"},
    {"CA:FALSE", {.not_ca = true}, NULL, "CA:TRUE"},
    {"expired", {.starts_in_days = -9, .ends_in_days = -2}, NULL, "has expired"},
    {"not yet valid", {.starts_in_days = 2}, NULL, "not yet valid"},
    {"private key beside it", {.private_key = true}, NULL, "private key"},
};

static char folder[] = "/tmp/killpoint-cert-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/ca.pem", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void check_verdict(const char *name, bool strict, const char *expected)
{
    CLEANUP(error_release) struct error error = {NULL};
    struct cert cert;
    int ret = cert_load(path, strict, &cert, &error);
    if (!expected && ret != 0)
        fail_msg("%s: refused: %s", name, error.text);
    if (expected && (ret != -EINVAL || !strstr(error.text, expected) || !strstr(error.text, path)))
        fail_msg("%s: expected '%s', found %d %s", name, expected, ret,
                 error.text ? error.text : "(accepted)");
}

static void policies_judge_every_kind_of_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        certs_write(path, &rows[i].file, NULL);
        check_verdict(rows[i].name, false, rows[i].upstream);
        check_verdict(rows[i].name, true, rows[i].hardened);
    }
}

static void fingerprint_is_of_the_der_form(void **state)
{
    (void)state;
    char expected[96];
    certs_write(path, &(struct cert_file){.text_before = "text\n"}, expected);
    CLEANUP(error_release) struct error error = {NULL};
    struct cert cert;
    assert_int_equal(cert_load(path, true, &cert, &error), 0);
    assert_string_equal(cert.fingerprint, expected);
    assert_int_equal(strlen(cert.fingerprint), 95);
}

static void file_digest_is_the_one_of_sha256sum(void **state)
{
    (void)state;
    certs_write(path, &(struct cert_file){0}, NULL);
    CLEANUP(error_release) struct error error = {NULL};
    struct cert cert;
    assert_int_equal(cert_load(path, true, &cert, &error), 0);
    CLEANUP(free_text) char *command = format_text("sha256sum %s", path);
    FILE *tool = popen(command, "r");
    char printed[65] = "";
    assert_non_null(tool);
    assert_int_equal(fread(printed, 1, 64, tool), 64);
    pclose(tool);
    assert_string_equal(cert.file_sha256, printed);
}

static void unreadable_files_are_refused(void **state)
{
    (void)state;
    CLEANUP(error_release) struct error error = {NULL};
    struct cert cert;
    unlink(path);
    assert_int_equal(cert_load(path, false, &cert, &error), -ENOENT);
    assert_non_null(strstr(error.text, "No such file"));
    assert_int_equal(cert_load(folder, false, &cert, &error), -EINVAL);
    assert_non_null(strstr(error.text, "not a regular file"));
    assert_int_equal(mkfifo(path, 0600), 0); /* must not block */
    assert_int_equal(cert_load(path, false, &cert, &error), -EINVAL);
    unlink(path);
    certs_write(path, &(struct cert_file){.only_text = "x"}, NULL);
    assert_int_equal(truncate(path, 1024 * 1024 + 1), 0);
    assert_int_equal(cert_load(path, false, &cert, &error), -EFBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies_judge_every_kind_of_file),
        cmocka_unit_test(fingerprint_is_of_the_der_form),
        cmocka_unit_test(file_digest_is_the_one_of_sha256sum),
        cmocka_unit_test(unreadable_files_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
