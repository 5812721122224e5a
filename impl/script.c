#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

char *script_quote(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789@%+=:,./_-";
    if (*text && text[strspn(text, plain)] == '\0')
        return format_text("%s", text);
    char *quoted = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&quoted, &size);
    if (!file)
        abort();
    fputc('\'', file);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", file);
        else
            fputc(*text, file);
    fputc('\'', file);
    if (fclose(file) != 0)
        abort();
    return quoted;
}

char *script_upstream(const char *ca_path, const char *bundle_path)
{
    CLEANUP(free_text) char *ca = script_quote(ca_path);
    CLEANUP(free_text) char *bundle = script_quote(bundle_path);
    return format_text("chown root:root %s && chmod 644 %s && update-ca-certificates"
                       " && openssl verify -CAfile %s %s",
                       ca, ca, bundle, ca);
}

/*
 * Rules for whoever edits this. Every external command stands where `set -e` sees its own
 * status, or last in a pipeline, so that a SIGKILL becomes 137 and is retried; a test after
 * `||` is a builtin. What update-ca-certificates may lose in silence (it has pipelines
 * whose first command can die) must be found again by the last part.
 */
static const char hardened_body[] =
    "set -e\n"
    "dir=${bundle%/*} name=${ca##*/} temp=${TMPDIR:-/tmp}\n"
    "pem=$dir/$(printf %s \"${name%.crt}\" | sed 's/ /_/g; s/[()]/=/g; s/,/_/g').pem\n"
    "conf=/etc/ca-certificates.conf roots=/usr/share/ca-certificates\n"
    "local=/usr/local/share/ca-certificates\n"
    "fail() { echo \"provision-ca: $1\" >&2; exit 3; }\n"
    "\n"
    "# One at a time: what an earlier exec left running holds this lock until it ends.\n"
    "exec 9<\"$dir\"\n"
    "flock -n 9 || {\n"
    "  echo 'provision-ca: waiting for an earlier installation to end' >&2\n"
    "  flock -w 60 -E 75 9\n"
    "}\n"
    "\n"
    "heal() {\n"
    "  rm -f \"$bundle.new\"\n"
    "  rm -f \"$ca\".smolvm-upload.* \"${ca%/*}\"/.smolvm-upload.*.\"$name\"\n"
    "  find \"$temp\" -maxdepth 1 -type f -user 0 \\( -name 'ca-certificates.tmp.*' \\\n"
    "    -o -name 'ca-certificates.crt.tmp.*' \\) -delete\n"
    "  find \"$dir\" -maxdepth 1 -type l -name 'Cu[!.][!.][!.][!.][!.][!.]' \\\n"
    "    \\( -lname \"$local/*\" -o -lname \"$roots/*\" \\) -delete\n"
    "}\n"
    "heal\n"
    "rm -f \"$dir/.pem\"\n"
    "chown root:root \"$ca\"\n"
    "chmod 644 \"$ca\"\n"
    "# Spelled otherwise, the link counts as new: rehash and hooks run as the first time.\n"
    "if [ -L \"$pem\" ]; then ln -sf \"${ca%/*}/./$name\" \"$pem\"; fi\n"
    "update-ca-certificates\n"
    "heal\n"
    "\n"
    "printf '%s  %s\\n' \"$sha256\" \"$ca\" | sha256sum -c -\n"
    "[ -L \"$pem\" ] && [ \"$pem\" -ef \"$ca\" ] || fail \"$pem is no link to $ca\"\n"
    "[ ! -L \"$dir/.pem\" ] || fail \"$dir/.pem: update-ca-certificates lost a name\"\n"
    "# The bundle is what update-ca-certificates makes of its sources, and nothing else.\n"
    "{\n"
    "  sed -e '/^$/d' -e '/^[#!]/d' -e \"s,^,$roots/,\" $conf\n"
    "  find -L $local -type f -name '*.crt' | sort\n"
    "} | xargs -r -d '\\n' sed -s '$a\\' | cmp - \"$bundle\"\n"
    "# No other store than the one that is asked, whatever this OpenSSL looks at by itself.\n"
    "export SSL_CERT_FILE=/nonexistent SSL_CERT_DIR=/nonexistent\n"
    "openssl verify -no-CApath -CAfile \"$bundle\" \"$ca\"\n"
    "openssl verify -no-CAfile -CApath \"$dir\" \"$ca\"\n"
    "sync -f \"$bundle\"\n";

char *script_hardened(const char *ca_path, const char *bundle_path, const char *file_sha256)
{
    CLEANUP(free_text) char *ca = script_quote(ca_path);
    CLEANUP(free_text) char *bundle = script_quote(bundle_path);
    return format_text("ca=%s bundle=%s sha256=%s\n%s", ca, bundle, file_sha256, hardened_body);
}
