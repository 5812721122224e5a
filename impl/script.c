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
 * Rules for whoever edits this. A helper that is killed must be told of on stderr by the one
 * that waits for it (a shell, find, xargs), or fail its turn; what an orphan does must not
 * meet the next turn. Each step has its row in README.md and in tests/test_impl_steps.c.
 */
static const char hardened_body[] =
    "# What tells of a killed helper is asked for untranslated; the order of names stays.\n"
    "LC_COLLATE=${LC_ALL:-${LC_COLLATE:-$LANG}} LC_CTYPE=${LC_ALL:-${LC_CTYPE:-$LANG}} "
    "LC_MESSAGES=C\n"
    "export LC_COLLATE LC_CTYPE LC_MESSAGES\n"
    "unset LC_ALL LANGUAGE\n"
    "# The folder is update-ca-certificates' own, wherever the bundle is reached from.\n"
    "dir=/etc/ssl/certs temp=${TMPDIR:-/tmp}\n"
    "conf=/etc/ca-certificates.conf roots=/usr/share/ca-certificates\n"
    "local=/usr/local/share/ca-certificates hooks=/etc/ca-certificates/update.d\n"
    "six='[!.][!.][!.][!.][!.][!.]'\n"
    "locals() { find -L $local -type f -name '*.crt' | sort; }\n"
    "\n"
    "# Another update-ca-certificates, a package's say, has BUNDLE.new in common with ours: it\n"
    "# must not lose what we remove, nor end with half a bundle after us.\n"
    "wait_for_others() {\n"
    "  tries=0\n"
    "  while grep -qs '^[0-9]* (update-ca-certi) [^ZX]' /proc/[0-9]*/stat; do\n"
    "    [ $tries != 0 ] || echo 'provision-ca: waiting for another update-ca-certificates to end' "
    ">&2\n"
    "    [ $((tries += 1)) -le 600 ] || exit 75\n"
    "    sleep 0.1\n"
    "  done\n"
    "}\n"
    "\n"
    "# The folder for temporaries is everybody's: root's files alone, and no name leaves find.\n"
    "leftovers() {\n"
    "  find -H \"$temp\" \"$dir\" -maxdepth 1 -user 0 \\( -type f \\\n"
    "    \\( -name \"ca-certificates.tmp.$six\" -o -name \"ca-certificates.crt.tmp.$six\" \\) -o "
    "\\\n"
    "    -name \"Cu$six\" \\( -lname \"$local/*\" -o -lname \"$roots/*\" \\) \\) \"$@\"\n"
    "}\n"
    "\n"
    "# The environment's folders are not what is asked about.\n"
    "verify() { SSL_CERT_FILE=/nonexistent SSL_CERT_DIR=/nonexistent openssl verify \"$@\" "
    "\"$ca\"; }\n"
    "\n"
    "round() {\n"
    "  set -e\n"
    "  wait_for_others\n"
    "  left=$(leftovers -print)\n"
    "  chown root:root \"$ca\"\n"
    "  chmod 644 \"$ca\"\n"
    "  printf '%s  %s\\n' \"$sha256\" \"$ca\" | sha256sum -c -\n"
    "  # Spelled otherwise, a link counts as new: rehash and hooks run as the first time.\n"
    "  if [ \"$turn$left\" = 1 ]; then echo \"$ca\"; else locals; fi |\n"
    "    sed 'h;s,.*/,,;s/\\.crt$//;y/ (),/_==_/;G' |\n"
    "    while read -r pem && read -r crt; do\n"
    "      [ ! -L \"$dir/$pem.pem\" ] || ln -sf \"${crt%/*}/./${crt##*/}\" \"$dir/$pem.pem\"\n"
    "    done\n"
    "  # A link that lost its name (basename was killed) was told to the hooks.\n"
    "  if [ -L \"$dir/.pem\" ]; then\n"
    "    run-parts --test -- $hooks | while read -r hook; do\n"
    "      echo \"-$dir/.pem\" | \"$hook\" 3>&- 4>&- 9>&- || :\n"
    "    done\n"
    "  fi\n"
    "  rm -f \"$dir/.pem\" \"$dir/ca-certificates.crt.new\" \"${ca%/*}\"/.smolvm-upload.* "
    "\"${ca%/*}\"/*.smolvm-upload.*\n"
    "  [ -z \"$left\" ] || leftovers -delete\n"
    "  update-ca-certificates 3>&- 4>&- 9>&-\n"
    "  [ ! -L \"$dir/.pem\" ]\n"
    "  wait_for_others\n"
    "  # The bundle is what update-ca-certificates makes of its sources, and nothing else.\n"
    "  {\n"
    "    sed -e '/^$/d' -e '/^[#!]/d' $conf | while read crt; do\n"
    "      [ ! -f \"$roots/$crt\" ] || printf '%s\\n' \"$roots/$crt\"\n"
    "    done\n"
    "    locals\n"
    "  } | xargs -r -d '\\n' sed -s '$a\\' | cmp - \"$bundle\"\n"
    "  verify -no-CApath -CAfile \"$bundle\"\n"
    "  verify -no-CAfile -CApath \"$dir\"\n"
    "  sync -f \"$bundle\" \"$ca\"\n"
    "}\n"
    "\n"
    "# One at a time: what an earlier exec left running holds this lock until it ends.\n"
    "exec 3>&1 9<\"$dir\"\n"
    "flock -n 9 || {\n"
    "  echo 'provision-ca: waiting for an earlier installation to end' >&2\n"
    "  flock -w 60 -E 75 9 || exit\n"
    "}\n"
    "# That a helper was killed is told by its shell, find or xargs, even where nobody looks at "
    "its\n"
    "# status. By stderr and fd 4 the substitution ends with the last process of its round, "
    "orphans\n"
    "# too; what a hook leaves running has neither. The status goes where nobody else writes.\n"
    "for turn in 1 2; do\n"
    "  said=$({\n"
    "    { (round) 2>&1 >&3; echo \"=$?\" >&4; } |\n"
    "      sed -un -e 'w /dev/stderr' -e 's/.*\\(Killed\\|signal 9\\).*/lost/p'\n"
    "    [ $? = 0 ] || echo lost\n"
    "  } 4>&1)\n"
    "  case $said in =0) exit 0 ;; *=75*) exit 75 ;; esac\n"
    "done\n"
    "# 255 is docker's word for a lost daemon.\n"
    "case $said in *lost* | '') exit 137 ;; =255) exit 1 ;; esac\n"
    "exit \"${said#=}\"\n";

char *script_hardened(const char *ca_path, const char *bundle_path, const char *file_sha256)
{
    CLEANUP(free_text) char *ca = script_quote(ca_path);
    CLEANUP(free_text) char *bundle = script_quote(bundle_path);
    return format_text("ca=%s bundle=%s sha256=%s\n%s", ca, bundle, file_sha256, hardened_body);
}
