#include "trial_input.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

/* A certificate file of that fixture, at path. "unreadable" is a folder in its place. */
static int place_certificate(const char *fixtures_path, const char *fixture, const char *path,
                             struct err *err)
{
    if (strcmp(fixture, "unreadable") == 0)
        return mkdir(path, 0700) < 0 ? err_set(err, errno, "mkdir %s", path) : 0;
    CLEANUP(io_free) char *from = io_format("%s/%s.crt", fixtures_path, fixture);
    CLEANUP(buf_release) struct buf bytes = BUF_INIT;
    int ret = io_read_file(AT_FDCWD, from, &bytes, 1 << 20, err);
    return ret < 0 ? ret : io_write_file(AT_FDCWD, path, buf_str(&bytes), bytes.len, 0644, err);
}

static int write_plan(const struct plan *plan, const char *folder, struct err *err)
{
    json_t *routes = json_array();
    for (const char *const *route = plan->routes; route && *route; route++)
        json_array_append_new(routes, json_string(*route));
    json_t *json = json_pack("{s:{s:o, s:s}, s:{s:s}}", "egress", "routes", routes, "ca_cert",
                             "first.crt", "pipelock", "ca_cert", "second.crt");
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!text)
        return err_text(err, EINVAL, "the plan is no JSON");
    CLEANUP(io_free) char *path = io_format("%s/plan.json", folder);
    int ret = io_write_file(AT_FDCWD, path, text, strlen(text), 0644, err);
    free(text);
    return ret;
}

int trial_input_write(const struct plan *plan, const char *fixtures_path, const char *folder,
                      struct err *err)
{
    CLEANUP(io_free) char *egress = io_format("%s/first.crt", folder);
    CLEANUP(io_free) char *pipelock = io_format("%s/second.crt", folder);
    int ret = io_make_dirs(folder, 0700, err);
    if (ret == 0)
        ret = place_certificate(fixtures_path, plan->egress, egress, err);
    if (ret == 0)
        ret = place_certificate(fixtures_path, plan->pipelock, pipelock, err);
    return ret < 0 ? ret : write_plan(plan, folder, err);
}

void trial_input_fingerprint(const char *path, struct buf *print)
{
    BIO *bio = BIO_new_file(path, "r");
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    long der_len = 0;
    unsigned len = 0;
    if (bio && PEM_bytes_read_bio(&der, &der_len, NULL, PEM_STRING_X509, bio, NULL, NULL) == 1 &&
        EVP_Digest(der, (size_t)der_len, digest, &len, EVP_sha256(), NULL) == 1)
        for (unsigned i = 0; i < len; i++)
            buf_printf(print, "%s%02X", i ? ":" : "", digest[i]);
    OPENSSL_free(der);
    BIO_free(bio);
}

char *trial_input_machine_name(void)
{
    unsigned long long number = 0;
    while (getrandom(&number, sizeof number, 0) < 0 && errno == EINTR)
        ;
    return io_format("kp-%016llx", number);
}
