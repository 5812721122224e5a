#include "support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "../scenarios/audit.h"
#include "../scenarios/audit_cmd.h"
#include "audit_damages.h"

/* A small store, made once: five roots of which T1 and T2 share a subject, and the CA. */
struct fixture {
    char *dir;
    char *base; /* its root; every case works on a copy */
    char *vars; /* shell variables: the subject hashes */
    struct buf ca, key, other_key;
    struct audit_known known; /* the base's certificates, learned beforehand */
};

static unsigned long hash_of(const char *name)
{
    X509_NAME *subject = X509_NAME_new();
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    unsigned long hash = X509_NAME_hash_ex(subject, NULL, NULL, NULL);
    X509_NAME_free(subject);
    return hash;
}

static void write_root(const char *base, const char *file, const char *subject)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_sign(cert, key, EVP_sha256());
    char *path = io_format("%s/" SHARE "/%s.crt", base, file);
    FILE *out = fopen(path, "we");
    assert_non_null(out);
    PEM_write_X509(out, cert);
    fclose(out);
    free(path);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void sh_in(const struct fixture *fixture, const char *root, const char *script)
{
    struct run done =
        run_sh("cd %s || exit 1; set -e; umask 022; %s\n%s", root, fixture->vars, script);
    check_success(&done);
    run_release(&done);
}

static void read_fixture(const char *path, struct buf *buf)
{
    struct err err;
    if (io_read_file(AT_FDCWD, path, buf, 1 << 20, &err) < 0)
        fail_msg("%s (the tests run from the top folder)", err.msg);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct err err;
    *state = fixture;
    if (geteuid() != 0)
        fail_msg("these tests enter other roots and need root");
    fixture->dir = dir_make();
    fixture->base = io_format("%s/base", fixture->dir);
    char cwd[4096];
    assert_non_null(getcwd(cwd, sizeof cwd));
    fixture->vars =
        io_format("A=%08lx B=%08lx T=%08lx OFF=%08lx CA=451e2d0a FIX=%s/scenarios/"
                  "fixtures",
                  hash_of("Root A"), hash_of("Root B"), hash_of("Twin"), hash_of("Off"), cwd);
    read_fixture("scenarios/fixtures/ca.crt", &fixture->ca);
    read_fixture("scenarios/fixtures/ca.key", &fixture->key);
    read_fixture("scenarios/fixtures/rotated.key", &fixture->other_key);
    CLEANUP(io_free) char *share = io_format("%s/" SHARE, fixture->base);
    assert_int_equal(io_make_dirs(share, 0755, &err), 0);
    static const char *const roots[][2] = {
        {"A", "Root A"}, {"B", "Root B"}, {"T1", "Twin"}, {"T2", "Twin"}, {"Off", "Off"}};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
        write_root(fixture->base, roots[i][0], roots[i][1]);
    sh_in(fixture, fixture->base,
          "mkdir -p " LOCAL " " CERTS " tmp dev usr/lib/ssl; chmod 1777 tmp\n"
          "printf '# roots\\nkp/A.crt\\nkp/B.crt\\n\\n!kp/Off.crt\\nkp/T1.crt\\nkp/T2.crt\\n' "
          ">etc/ca-certificates.conf\n"
          "cp $FIX/ca.crt " LOCAL "/bot-bottle-mitm.crt; chmod 644 " LOCAL "/*\n"
          "cd " CERTS "; for r in A B T1 T2; do ln -s /" SHARE "/$r.crt $r.pem; done\n"
          "ln -s /" LOCAL "/bot-bottle-mitm.crt bot-bottle-mitm.pem\n"
          "ln -s A.pem $A.0; ln -s B.pem $B.0; ln -s T1.pem $T.0; ln -s T2.pem $T.1\n"
          "ln -s bot-bottle-mitm.pem $CA.0\n"
          "cd ../../..; for r in A B T1 T2; do cat " SHARE "/$r.crt; done "
          ">" CERTS "/ca-certificates.crt\n"
          "cat " LOCAL "/bot-bottle-mitm.crt >>" CERTS "/ca-certificates.crt");
    audit_learn(fixture->base, &fixture->known);
    audit_learn_ca(&fixture->ca, &fixture->other_key, &fixture->known);
    audit_learn_ca(&fixture->ca, &fixture->key, &fixture->known);
    audit_learn_ca(&fixture->ca, &fixture->key, &fixture->known);
    assert_int_equal(fixture->known.n_cas, 1); /* no pair for a wrong key, one for a right one */
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    dir_remove(&fixture->dir);
    audit_known_release(&fixture->known);
    free(fixture->base);
    free(fixture->vars);
    buf_release(&fixture->ca);
    buf_release(&fixture->key);
    buf_release(&fixture->other_key);
    free(fixture);
    return 0;
}

static char *copy_base(const struct fixture *fixture, const char *damage)
{
    char *root = io_format("%s/case", fixture->dir);
    struct run done = run_sh("rm -rf %s && cp -a %s %s", root, fixture->base, root);
    check_success(&done);
    run_release(&done);
    sh_in(fixture, root, damage);
    return root;
}

static void list_ids(const struct audit_report *report, enum audit_outcome outcome, struct buf *ids)
{
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (report->results[i].outcome == outcome)
            buf_printf(ids, "%s%s", ids->len ? " " : "", report->results[i].def->id);
}

/* Audits root; exactly these ids must fail, and only exact/files be not run. */
static void check_root(const struct fixture *fixture, const struct audit_known *known,
                       const char *root, const char *name, const char *failing,
                       struct audit_report *ret_report)
{
    CLEANUP(buf_release) struct buf ids = BUF_INIT;
    CLEANUP(buf_release) struct buf rest = BUF_INIT;
    const struct audit_request request = {
        .root_path = root, .ca_pem = &fixture->ca, .ca_key = &fixture->key, .known = known};
    struct err err;
    int64_t start_ms = io_now_ms();
    if (audit_run(&request, ret_report, &err) < 0)
        fail_msg("%s: %s", name, err.msg);
    list_ids(ret_report, AUDIT_FAIL, &ids);
    list_ids(ret_report, AUDIT_NOT_RUN, &rest);
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++) {
        const struct audit_result *result = &ret_report->results[i];
        if (result->outcome == AUDIT_FAIL && result->found[0] == '\0')
            fail_msg("%s: %s fails and does not say why", name, result->def->id);
        for (const char *at = result->found; *at; at++)
            if (*at < ' ' || *at > '~')
                fail_msg("%s: %s found a raw byte %d", name, result->def->id, *at);
    }
    if (strcmp(buf_str(&ids), failing) != 0) {
        for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
            print_message("%s: %s\n", ret_report->results[i].def->id, ret_report->results[i].found);
        fail_msg("%s%s:\n  should fail: %s\n  fails:       %s", name,
                 known ? ", with known certificates" : "", failing, buf_str(&ids));
    }
    assert_string_equal(buf_str(&rest), "exact/files");
    if (io_now_ms() - start_ms > 20000)
        fail_msg("%s: took too long", name);
}

/* A damaged copy, without and with what was learned of the undamaged one: nothing differs. */
static void check_damage(const struct fixture *fixture, const char *name, const char *damage,
                         const char *failing)
{
    CLEANUP(io_free) char *root = copy_base(fixture, damage);
    CLEANUP(audit_report_release) struct audit_report fresh = {0};
    CLEANUP(audit_report_release) struct audit_report again = {0};
    check_root(fixture, NULL, root, name, failing, &fresh);
    check_root(fixture, &fixture->known, root, name, failing, &again);
    for (size_t i = 0; i < AUDIT_N_CHECKS; i++)
        if (strcmp(fresh.results[i].found, again.results[i].found) != 0)
            fail_msg("%s: %s says '%s', with known certificates '%s'", name,
                     fresh.results[i].def->id, fresh.results[i].found, again.results[i].found);
}

#define CHECK_ALL(table)                                                                           \
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)                                      \
    check_damage(*state, table[i].name, table[i].script, table[i].failing)

static void a_whole_store_has_no_findings(void **state)
{
    CHECK_ALL(harmless);
}

static void each_damage_fails_exactly_its_checks(void **state)
{
    CHECK_ALL(damages);
}

static void hostile_files_neither_hang_nor_crash_the_audit(void **state)
{
    CHECK_ALL(hostile);
}

/* Every check but exact/files must have been seen to fail above. */
static void every_check_is_failed_by_some_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < AUDIT_N_CHECKS - 1; i++) {
        bool seen = false;
        for (size_t j = 0; j < sizeof damages / sizeof *damages; j++)
            seen |= strstr(damages[j].failing, audit_defs()[i].id) != NULL;
        if (!seen)
            fail_msg("nothing fails %s", audit_defs()[i].id);
    }
}

static void what_is_not_given_is_not_judged(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        const char *name;
        bool ca;
        const char *not_run;
    } cases[] = {
        {"no CA", false,
         "must/ca-file must/ca-file-mode must/ca-file-bytes must/bundle-has-ca "
         "must/hashdir-finds-ca must/tls-bundle must/tls-hashdir exact/files"},
        {"no key", true, "must/tls-bundle must/tls-hashdir exact/files"},
    };
    for (size_t i = 0; i < 2; i++) {
        CLEANUP(audit_report_release) struct audit_report report = {0};
        CLEANUP(buf_release) struct buf ids = BUF_INIT;
        CLEANUP(buf_release) struct buf failed = BUF_INIT;
        struct audit_request request = {.root_path = fixture->base,
                                        .ca_pem = cases[i].ca ? &fixture->ca : NULL};
        struct err err;
        assert_int_equal(audit_run(&request, &report, &err), 0);
        list_ids(&report, AUDIT_NOT_RUN, &ids);
        list_ids(&report, AUDIT_FAIL, &failed);
        assert_string_equal(buf_str(&ids), cases[i].not_run);
        assert_string_equal(buf_str(&failed), "");
        assert_int_equal(audit_report_count(&report, AUDIT_SHOULD, AUDIT_PASS), 5);
    }
}

static void unusable_requests_are_refused(void **state)
{
    const struct fixture *fixture = *state;
    struct buf text = BUF_INIT;
    buf_add(&text, "no certificate\n");
    const struct {
        const char *name;
        struct audit_request request;
        int ret;
    } cases[] = {
        {"no such root", {.root_path = "/nonexistent"}, -ENOENT},
        {"not a Debian", {.root_path = "scenarios"}, -ENOENT},
        {"not a folder", {.root_path = "/dev/null"}, -ENOTDIR},
        {"no CA in the CA", {.root_path = fixture->base, .ca_pem = &text}, -EINVAL},
        {"no key in the key",
         {.root_path = fixture->base, .ca_pem = &fixture->ca, .ca_key = &text},
         -EINVAL},
        {"another CA's key",
         {.root_path = fixture->base,
          .ca_pem = &fixture->ca,
          .ca_key = &fixture->other_key,
          .known = &fixture->known},
         -EINVAL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct audit_report report = {0};
        struct err err = {""};
        int ret = audit_run(&cases[i].request, &report, &err);
        if (ret != cases[i].ret || err.msg[0] == '\0')
            fail_msg("%s: returns %d (%s)", cases[i].name, ret, err.msg);
        assert_null(report.results[0].def);
    }
    buf_release(&text);
}

/* --- what was learned beforehand ---------------------------------------------------- */

/* Every certificate is known, of this store and of others, and none of them is there. */
static void a_known_certificate_that_the_guest_lacks_does_not_count(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(audit_known_release) struct audit_known known = {0};
    CLEANUP(audit_report_release) struct audit_report report = {0};
    audit_learn(fixture->base, &known);
    CLEANUP(io_free)
    char *root = copy_base(fixture, "rm " SHARE "/A.crt " LOCAL "/*; : >" CERTS
                                    "/ca-certificates.crt; cp $FIX/rotated.crt " SHARE "/B.crt");
    check_root(fixture, &known, root, "all gone",
               "must/ca-file must/ca-file-mode must/ca-file-bytes must/bundle-parses "
               "must/bundle-has-ca must/bundle-has-roots must/hashdir-finds-ca "
               "must/hashdir-finds-roots must/tls-bundle must/tls-hashdir "
               "should/no-dangling-links should/no-stray-links",
               &report);
}

static void certificates_known_from_elsewhere_change_no_verdict(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(io_free) char *other = io_format("%s/other", fixture->dir);
    struct run done = run_sh("mkdir -p %s/" CERTS " && cat scenarios/fixtures/rotated.crt "
                             "scenarios/fixtures/ca.crt >%s/" CERTS "/ca-certificates.crt",
                             other, other);
    check_success(&done);
    run_release(&done);
    CLEANUP(audit_known_release) struct audit_known known = {0};
    audit_learn(other, &known);
    audit_learn("/nonexistent", &known);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i += 3) { /* memcheck is slow */
        CLEANUP(audit_report_release) struct audit_report report = {0};
        CLEANUP(io_free) char *root = copy_base(fixture, damages[i].script);
        check_root(fixture, &known, root, damages[i].name, damages[i].failing, &report);
    }
}

/* T1 and T2 have one subject hash; libcrypto reads .0, .1, ... to the first that is not there. */
static const struct damage twins[] = {
    {"the other order", "cd " CERTS "; ln -sfn T2.pem $T.0; ln -sfn T1.pem $T.1", ""},
    {"both in .0",
     "cat " SHARE "/T1.crt " SHARE "/T2.crt >" CERTS "/two; cd " CERTS "; rm $T.1; "
     "ln -sfn two $T.0",
     "should/no-stray-links"},
    {"no .0", "mv " CERTS "/$T.0 " CERTS "/$T.9", "must/hashdir-finds-roots"},
    {"a gap between them", "mv " CERTS "/$T.1 " CERTS "/$T.2", "must/hashdir-finds-roots"},
    {"a file, not a link, in .0", "rm " CERTS "/$T.0; cp " SHARE "/T1.crt " CERTS "/$T.0", ""},
    {"a torn .0 ends the search", "rm " CERTS "/$T.0; head -c 100 " SHARE "/T1.crt >" CERTS "/$T.0",
     "must/hashdir-finds-roots"},
    {"text before the certificate in .0",
     "(echo text; cat " SHARE "/T1.crt) >" CERTS "/x; ln -sfn x " CERTS "/$T.0", ""},
};

static void equal_subject_hashes_are_searched_in_order(void **state)
{
    CHECK_ALL(twins);
}

/* --- the exact level ------------------------------------------------------------------- */

static void exact_compares_two_snapshots(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(tree_release) struct tree reference = {0};
    CLEANUP(tree_release) struct tree found = {0};
    CLEANUP(io_free) char *root = copy_base(fixture, "echo x >tmp/left");
    struct err err;
    assert_int_equal(tree_snapshot(fixture->base, NULL, NULL, &reference, &err), 0);
    assert_int_equal(tree_snapshot(root, NULL, NULL, &found, &err), 0);
    struct audit_request request = {.root_path = root, .reference = &reference, .found = &found};
    CLEANUP(audit_report_release) struct audit_report report = {0};
    assert_int_equal(audit_run(&request, &report, &err), 0);
    const struct audit_result *exact = &report.results[AUDIT_N_CHECKS - 1];
    assert_int_equal(exact->outcome, AUDIT_FAIL);
    assert_string_equal(exact->found,
                        "/tmp/left: file 0644 0:0 2 bytes 73cb3858a687 instead of nothing");
    audit_report_release(&report);
    request.found = &reference;
    assert_int_equal(audit_run(&request, &report, &err), 0);
    assert_int_equal(report.results[AUDIT_N_CHECKS - 1].outcome, AUDIT_PASS);
}

/* --- the verb -------------------------------------------------------------------------- */

/* Runs audit_cmd() in a child whose stdout and stderr are files. */
static int run_verb(const struct fixture *fixture, const char *line, struct buf *out,
                    struct buf *err_text)
{
    CLEANUP(io_free) char *out_path = io_format("%s/out", fixture->dir);
    CLEANUP(io_free) char *err_path = io_format("%s/err", fixture->dir);
    CLEANUP(io_free) char *words = io_format("audit %s", line);
    char *argv[16] = {NULL};
    int argc = 0;
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "ROOT") == 0 ? fixture->base : word;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen(out_path, "w", stdout) || !freopen(err_path, "w", stderr))
            _exit(90);
        int status = audit_cmd(argc, argv);
        fclose(stdout);
        fclose(stderr);
        _exit(status);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    buf_clear(out);
    buf_clear(err_text);
    read_fixture(out_path, out);
    read_fixture(err_path, err_text);
    return WEXITSTATUS(status);
}

#define FIX "scenarios/fixtures/"

static void the_verb_has_exact_statuses_and_streams(void **state)
{
    const struct fixture *fixture = *state;
    static const struct {
        const char *args;
        int status;
        const char *out, *err; /* each a part of it; "" is all of it */
    } cases[] = {
        {"--root ROOT", 0, "not run  must/ca-file  -- no CA was given\n", ""},
        {"--root ROOT --ca " FIX "ca.crt", 0, "14 passed, 0 failed, 3 not run\n", ""},
        {"--root ROOT --ca " FIX "ca.crt --ca-key " FIX "ca.key", 0,
         "16 passed, 0 failed, 1 not run\n", ""},
        {"--root ROOT --ca " FIX "rotated.crt", 1,
         "FAIL     must/ca-file-bytes\n         expected: the bytes that were sent\n         "
         "found:    1172 bytes, other ones than the 1176 sent\n",
         ""},
        {"--root ROOT --json", 0, "{\"id\":\"exact/files\",\"level\":\"exact\",", ""},
        {"--root ROOT --ca " FIX "ca.crt --ca-path /etc/other.crt", 1, "FAIL     must/ca-file\n",
         ""},
        {"--root ROOT --bundle /etc/other.crt", 1, "FAIL     must/bundle-parses\n", ""},
        {"", 2, "", "killpoint audit: --root DIR is missing\n"},
        {"--root ROOT --ca-key x", 2, "", "killpoint audit: --ca-key needs --ca\n"},
        {"--root ROOT --bundle x", 2, "", "absolute paths"},
        {"--root ROOT x", 2, "", "killpoint audit: unexpected argument 'x'\n"},
        {"--root ROOT --bogus", 2, "", "killpoint audit: unrecognized option '--bogus'\n"},
        {"--root", 2, "", "killpoint audit: option '--root' requires an argument\n"},
        {"--root scenarios", 2, "", "is no Debian tree with ca-certificates\n"},
        {"--root ROOT --ca /nonexistent", 2, "", "open /nonexistent: No such file"},
        {"--root ROOT --ca " FIX "none.crt", 2, "", "the CA is no PEM certificate\n"},
    };
    CLEANUP(buf_release) struct buf out = BUF_INIT;
    CLEANUP(buf_release) struct buf err = BUF_INIT;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = run_verb(fixture, cases[i].args, &out, &err);
        const char *newline = strchr(buf_str(&err), '\n');
        if (status != cases[i].status || !strstr(buf_str(&out), cases[i].out) ||
            !strstr(buf_str(&err), cases[i].err) || (!*cases[i].out && out.len) ||
            (!*cases[i].err && err.len) || (newline && newline[1]))
            fail_msg("audit %s: status %d\n%s%s", cases[i].args, status, buf_str(&out),
                     buf_str(&err));
    }
}

/*
 * In fresh processes, for libcrypto reads its configuration once only. This one leaves it
 * without any algorithm; the guest has it where Debian's libcrypto looks, and the
 * environment names it too.
 */
static void no_openssl_cnf_is_obeyed(void **state)
{
    const struct fixture *fixture = *state;
    CLEANUP(io_free)
    char *root = copy_base(fixture, "printf 'openssl_conf = a\\n[a]\\nalg_section = b\\n[b]\\n"
                                    "default_properties = provider=none\\n' "
                                    ">usr/lib/ssl/openssl.cnf");
    static const struct {
        const char *env, *args, *summary;
    } cases[] = {
        {"-u OPENSSL_CONF", "", "9 passed, 0 failed"},
        {"OPENSSL_CONF=$ROOT/usr/lib/ssl/openssl.cnf", "--ca " FIX "ca.crt --ca-key " FIX "ca.key",
         "16 passed, 0 failed"},
    };
    for (size_t i = 0; i < 2; i++) {
        struct run done = run_sh("ROOT=%s; env %s SSL_CERT_FILE=/x SSL_CERT_DIR=/x "
                                 "$SELF audit --root $ROOT %s",
                                 root, cases[i].env, cases[i].args);
        check_success(&done);
        assert_non_null(strstr(done.out, cases[i].summary));
        run_release(&done);
    }
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "audit") == 0)
        return audit_cmd(argc - 1, argv + 1);
    setenv("SELF", argv[0], 1);
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_store_has_no_findings),
        cmocka_unit_test(each_damage_fails_exactly_its_checks),
        cmocka_unit_test(every_check_is_failed_by_some_damage),
        cmocka_unit_test(hostile_files_neither_hang_nor_crash_the_audit),
        cmocka_unit_test(what_is_not_given_is_not_judged),
        cmocka_unit_test(unusable_requests_are_refused),
        cmocka_unit_test(a_known_certificate_that_the_guest_lacks_does_not_count),
        cmocka_unit_test(certificates_known_from_elsewhere_change_no_verdict),
        cmocka_unit_test(equal_subject_hashes_are_searched_in_order),
        cmocka_unit_test(exact_compares_two_snapshots),
        cmocka_unit_test(no_openssl_cnf_is_obeyed),
        cmocka_unit_test(the_verb_has_exact_statuses_and_streams),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
