/*
 * The fake smolvm as a program: every verb, its streams and its exit codes. Tests that start
 * a machine need one built layout.
 */
#include "support.h"

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fakes/layout.h"
#include "../fault/home.h"

/* --- set-up -------------------------------------------------------------------------- */

/* One test's state folder, with smolvm first on PATH and nothing left of other settings. */
static int set_up(void **state)
{
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    if (home_find("fakes/smolvm", &program, &err) < 0)
        fail_msg("%s", err.msg);
    *strrchr(program, '/') = '\0';
    const char *old = getenv("PATH");
    if (!old || strncmp(old, program, strlen(program)) != 0) {
        CLEANUP(io_free) char *path = io_format("%s:%s", program, old ? old : "/usr/bin:/bin");
        setenv("PATH", path, 1);
    }
    char *folder = dir_make();
    *state = folder;
    setenv("KILLPOINT_STATE", folder, 1);
    unsetenv("KILLPOINT_FAULTS");
    unsetenv("SMOLVM_FAKE_VERSION");
    return 0;
}

static int tear_down(void **state)
{
    struct run done = run_sh("for m in $(ls \"$KILLPOINT_STATE/machines\" 2>/dev/null); do "
                             "smolvm machine stop --name $m; done");
    run_release(&done);
    dir_remove((char **)state);
    return 0;
}

/* The layout to play on; skips the test, or fails it in CI, where none is built. */
static const char *some_layout(void)
{
    static const char *const names[] = {"bookworm-mini", "bookworm", "host"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct layout layout = LAYOUT_INIT;
        if (layout_open(names[i], &layout, NULL) < 0)
            continue;
        layout_release(&layout);
        return names[i];
    }
    if (getenv("CI"))
        fail_msg("no layout is built, and in CI a skip is a failure");
    print_message("skipped: no layout is built (ci/layouts bookworm-mini)\n");
    skip();
    return NULL;
}

/* A running machine `t`. */
static void start_machine(void)
{
    struct run done = run_sh("smolvm machine create t --image %s >/dev/null && "
                             "smolvm machine start --name t >/dev/null",
                             some_layout());
    check_success(&done);
    run_release(&done);
}

struct row {
    const char *name;
    const char *before; /* a shell command, its output dropped; NULL: none */
    const char *command;
    int code;
    const char *out, *err; /* exact */
};

static void check_row(const struct row *row)
{
    if (row->before) {
        struct run before = run_sh("%s", row->before);
        run_release(&before);
    }
    struct run done = run_sh("%s", row->command);
    if (done.how != PROC_EXITED || done.code != row->code || strcmp(done.out, row->out) != 0 ||
        strcmp(done.err, row->err) != 0)
        fail_msg("%s: exit %d, expected %d\n--- stdout\n%s--- expected\n%s--- stderr\n%s"
                 "--- expected\n%s",
                 row->name, done.code, row->code, done.out, row->out, done.err, row->err);
    run_release(&done);
}

/* Runs a shell command that must end with 0, and compares its stdout. */
static void check_out(const char *expected, const char *command)
{
    struct run done = run_sh("%s", command);
    check_success(&done);
    if (strcmp(done.out, expected) != 0)
        fail_msg("%s: printed '%s', expected '%s'", command, done.out, expected);
    run_release(&done);
}

/* Compares the journal, as "SEQ VERB MACHINE STATUS SIGNAL FIRED" in lines; what is null or
 * missing is `-`. FIRED is the first rule's count. */
static void check_journal(const char *expected)
{
    CLEANUP(buf_release) struct buf found = BUF_INIT;
    CLEANUP(io_free) char *path = io_format("%s/journal.ndjson", getenv("KILLPOINT_STATE"));
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (json_t *line; (line = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL));) {
        const json_t *rule = json_array_get(json_object_get(line, "rules"), 0);
        const json_t *words[] = {json_object_get(line, "seq"),     json_object_get(line, "verb"),
                                 json_object_get(line, "machine"), json_object_get(line, "status"),
                                 json_object_get(line, "signal"),  json_object_get(rule, "fired")};
        for (size_t i = 0; i < 6; i++) {
            const char *blank = i < 5 ? " " : "\n";
            if (json_is_integer(words[i]))
                buf_printf(&found, "%lld%s", (long long)json_integer_value(words[i]), blank);
            else if (json_is_string(words[i]))
                buf_printf(&found, "%s%s", json_string_value(words[i]), blank);
            else
                buf_printf(&found, "-%s", blank);
        }
        json_decref(line);
    }
    fclose(file);
    assert_string_equal(buf_str(&found), expected);
}

/* --- without a machine that runs --------------------------------------------------------- */

#define CREATED(name)                                                                              \
    "Created machine: " name                                                                       \
    "\n  CPUs: 4, Memory: 8192 MiB\n\nUse 'smolvm machine start --name " name                      \
    "' to start the machine\nThen use 'smolvm machine exec --name " name                           \
    " -- <command>' to run commands\n"
#define CREATE_M "smolvm machine create m --image bookworm"
#define NOT_RUNNING(name)                                                                          \
    "Error: agent operation failed: connect: machine '" name                                       \
    "' is not running. Use 'smolvm machine start --name " name "' first.\n"
#define NO_DIRECTION                                                                               \
    "Error: config operation failed: cp: one of SRC or DST must use machine:path syntax (e.g., "   \
    "myvm:/workspace/file)\n"
#define END "\nFor more information, try '--help'.\n"

static const struct row rows[] = {
    {"version", NULL, "smolvm --version", 0, "smolvm 0.8.0\n", ""},
    {"other version", NULL, "SMOLVM_FAKE_VERSION=1.0.2 smolvm -V", 0, "smolvm 1.0.2\n", ""},
    {"unknown version", NULL, "SMOLVM_FAKE_VERSION=9 smolvm -V", 2, "",
     "error: SMOLVM_FAKE_VERSION='9' is not known here; there are: 0.8.0 0.8.1 0.8.2 0.9.0 1.0.0 "
     "1.0.1 1.0.2 1.0.4 1.1.0 1.1.3\n"},
    {"wrong usage", NULL, "smolvm machine ls --foo", 2, "",
     "error: unexpected argument '--foo' found\n\nUsage: smolvm machine ls [OPTIONS]\n" END},
    {"verb the fake does not have", NULL, "smolvm machine monitor", 2, "",
     "error: this fake smolvm does not have 'machine monitor'\n"},
    {"faults with a mistake", NULL,
     "KILLPOINT_FAULTS='exec frobnicate' " CREATE_M " 2>&1 | "
     "grep -c '^error: KILLPOINT_FAULTS: rule 1, column'; smolvm machine ls",
     0, "1\nNo machines found\n", ""},
    {"faults in a file that is not there", NULL, "KILLPOINT_FAULTS=@/nonexistent smolvm machine ls",
     2, "", "error: KILLPOINT_FAULTS: open /nonexistent: No such file or directory\n"},
    {"create", NULL, CREATE_M, 0, CREATED("m"), ""},
    {"create by the name of an image", NULL, "smolvm machine create m --image debian:bookworm-slim",
     0, CREATED("m"), ""},
    {"create with an image that only the pull finds missing", NULL,
     "smolvm machine create m --image nosuch:1", 0, CREATED("m"), ""},
    {"create with sizes and ports", NULL, CREATE_M " --cpus 2 --mem 512 -p 1:2", 0,
     "Created machine: m\n  CPUs: 2, Memory: 512 MiB\n  Ports: 1\n\nUse 'smolvm machine start "
     "--name m' to start the machine\nThen use 'smolvm machine exec --name m -- <command>' to run "
     "commands\n",
     ""},
    {"create 1.0.2", NULL, "SMOLVM_FAKE_VERSION=1.0.2 smolvm machine create -n m -I bookworm", 0,
     CREATED("m"), ""},
    {"create twice", CREATE_M, CREATE_M, 1, "",
     "Error: config operation failed: create machine: machine 'm' already exists\n"},
    {"create with a name that is none", NULL, "smolvm machine create a--b --image bookworm", 1, "",
     "Error: config operation failed: create machine: machine name 'a--b' may not hold '--' or end "
     "with '-'\n"},
    {"create without image", NULL, "smolvm machine create m", 1, "",
     "Error: config operation failed: create machine: this fake smolvm has no machines without an "
     "image, give --image\n"},
    {"create without name", NULL,
     "smolvm machine create --image bookworm | grep -cE '^Created machine: vm-[0-9a-f]{8}$'", 0,
     "1\n", ""},
    {"start of an unknown machine", NULL, "smolvm machine start --name m", 1, "",
     "Error: vm not found: m\n"},
    {"start of the default machine", NULL, "smolvm machine start", 1, "",
     "Error: vm not found: default\n"},
    {"start with an image that is none", "smolvm machine create m --image nosuch:1",
     "smolvm machine start -n m", 1, "",
     "Starting machine 'm'...\nError: agent operation failed: pull image: failed to pull nosuch:1: "
     "manifest unknown\n"},
    {"start with a layout that is not built", CREATE_M,
     "KILLPOINT_LAYOUTS=/nonexistent smolvm machine start -n m 2>&1 >/dev/null | grep -c '^error: "
     ".*bookworm'",
     0, "1\n", ""},
    {"stop of an unknown machine", NULL, "smolvm machine stop --name m", 0,
     "Machine 'm' not found or not running\n", ""},
    {"stop of an unknown machine in 1.1.3", NULL,
     "SMOLVM_FAKE_VERSION=1.1.3 smolvm machine stop --name m", 1, "", "Error: vm not found: m\n"},
    {"stop of a machine never started", CREATE_M, "smolvm machine stop --name m", 0,
     "Machine 'm' is not running (state: created)\n", ""},
    {"delete", CREATE_M, "smolvm machine delete m -f; smolvm machine ls", 0,
     "Cleaning up data directory for vm: m\nDeleted machine: m\nNo machines found\n", ""},
    {"delete 1.0.2", CREATE_M, "SMOLVM_FAKE_VERSION=1.0.2 smolvm machine rm --name m --force", 0,
     "Cleaning up data directory for vm: m\nDeleted machine: m\n", ""},
    {"delete of an unknown machine", NULL, "smolvm machine delete m -f", 1, "",
     "Error: vm not found: m\n"},
    {"delete of a path", CREATE_M, "smolvm machine delete ../machines/m -f", 1, "",
     "Error: vm not found: ../machines/m\n"},
    {"delete, asked, yes", CREATE_M, "echo ' YES ' | smolvm machine delete m", 0,
     "Cleaning up data directory for vm: m\nDeleted machine: m\n", "Delete machine 'm'? [y/N] "},
    {"delete, asked, no", CREATE_M,
     "echo yo | smolvm machine delete m && smolvm machine ls | wc -l", 0, "Cancelled\n3\n",
     "Delete machine 'm'? [y/N] "},
    {"delete, asked, nobody there", CREATE_M, "smolvm machine delete m </dev/null", 0,
     "Cancelled\n", "Delete machine 'm'? [y/N] "},
    {"ls of nothing", NULL, "smolvm machine ls", 0, "No machines found\n", ""},
    {"ls of nothing as JSON", NULL, "smolvm machine list --json", 0, "[]\n", ""},
    {"ls", CREATE_M " --mem 512 -p 1:2", "smolvm machine ls", 0,
     "NAME                 STATE         CPUS     MEMORY  MOUNTS   PORTS  STORAGE  OVERLAY\n"
     "----------------------------------------------------------------------------------------\n"
     "m                    created          4    512 MiB       0       1   20 GiB   10 GiB\n",
     ""},
    {"ls with details", CREATE_M " -e A=1 -e =x -e y -w /srv --net",
     "smolvm machine ls -v | sed -n '4,6p'", 0, "  Network: enabled\n  Env: A=1\n  Workdir: /srv\n",
     ""},
    {"status", CREATE_M, "smolvm machine status --name m", 0, "Machine 'm': not running\n", ""},
    {"status in 1.1.3", CREATE_M, "SMOLVM_FAKE_VERSION=1.1.3 smolvm machine status --name m", 0,
     "Machine 'm': created\n", ""},
    {"status of an unknown machine", NULL, "smolvm machine status", 1, "",
     "Error: vm not found: default\n"},
    {"status of an unknown machine as JSON", NULL, "smolvm machine status --name m --json", 1, "",
     "Error: config operation failed: machine status: machine 'm' not found\n"},
    {"exec in an unknown machine", NULL, "smolvm machine exec --name m -- true", 1, "",
     "Error: vm not found: m\n"},
    {"exec takes no positional machine", CREATE_M, "smolvm machine exec m true", 1, "",
     "Error: vm not found: default\n"},
    {"exec in a machine that does not run", CREATE_M, "smolvm machine exec --name m -- true", 1, "",
     NOT_RUNNING("m")},
    {"shell in a machine that does not run", CREATE_M, "smolvm machine sh --name m </dev/null", 1,
     "", NOT_RUNNING("m")},
    {"cp without a machine", NULL, "smolvm machine cp a b", 1, "", NO_DIRECTION},
    {"cp to an unknown machine", NULL, "smolvm machine cp /etc/hostname m:/x", 1, "",
     "Error: vm not found: m\n"},
    {"cp to a machine that does not run", CREATE_M, "smolvm machine cp /nonexistent m:/x", 1, "",
     NOT_RUNNING("m")},
    {"cp of a host file with a colon is a download", NULL, "smolvm machine cp ./a:b m:/x", 1, "",
     "Error: vm not found: ./a\n"},
};

static void every_call_without_a_guest_says_its_words(void **state)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check_row(&rows[i]);
        struct run clean = run_sh("rm -rf \"$KILLPOINT_STATE/machines\"");
        run_release(&clean);
    }
    (void)state;
}

static void json_holds_what_the_real_one_holds(void **state)
{
    static const char *const keys[] = {"name",
                                       "state",
                                       "cpus",
                                       "memory_mib",
                                       "pid",
                                       "mounts",
                                       "ports",
                                       "created_at",
                                       "storage_gb",
                                       "overlay_gb",
                                       "image",
                                       "entrypoint",
                                       "cmd",
                                       "ephemeral",
                                       "gpu",
                                       "gpu_vram_mib",
                                       "restart_policy",
                                       "restart_max_retries",
                                       "restart_count",
                                       "health_cmd",
                                       "health_interval_secs",
                                       "health_timeout_secs",
                                       "health_retries",
                                       "health_startup_grace_secs",
                                       "network"};
    (void)state;
    struct run one = run_sh(CREATE_M " >/dev/null; smolvm machine status --name m --json");
    struct run all = run_sh("smolvm machine ls --json");
    check_success(&one);
    check_success(&all);
    json_t *machine = json_loads(one.out, 0, NULL), *list = json_loads(all.out, 0, NULL);
    assert_true(json_equal(machine, json_array_get(list, 0)));
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!json_object_get(machine, keys[i]))
            fail_msg("no key %s", keys[i]);
    assert_int_equal(json_object_size(machine), sizeof keys / sizeof *keys);
    json_decref(machine);
    json_decref(list);
    run_release(&one);
    run_release(&all);
}

static void refused_calls_are_journaled_too(void **state)
{
    (void)state;
    struct run done = run_sh("smolvm machine exec --foo; smolvm --version; " CREATE_M "; "
                             "smolvm machine exec --name m -- true");
    run_release(&done);
    check_journal("1  - 2 - -\n2  - 0 - -\n3 create m 0 - -\n4 exec m 1 - -\n");
}

static void closed_stdout_does_not_change_the_status(void **state)
{
    (void)state;
    struct run done = run_sh("{ smolvm machine ls --help; echo $? >&2; } | true");
    assert_string_equal(done.err, "0\n");
    run_release(&done);
}

/* --- with one ------------------------------------------------------------------------- */

static const struct row guest_rows[] = {
    {"status of the command", NULL, "smolvm machine exec --name t -- sh -c 'exit 7'", 7, "", ""},
    {"status 255", NULL, "smolvm machine exec --name t -- sh -c 'exit 255'", 255, "", ""},
    {"killed command", NULL, "smolvm machine exec --name t -- sh -c 'echo a; kill -9 $$'", 137,
     "a\n", ""},
    {"terminated command", NULL, "smolvm machine exec --name t -- sh -c 'kill -15 $$'", 143, "",
     ""},
    {"all stdout, then all stderr", NULL,
     "smolvm machine exec --name t -- sh -c 'echo 1 >&2; echo 2; echo 3 >&2; echo 4' 2>&1", 0,
     "2\n4\n1\n3\n", ""},
    {"streamed in order", NULL,
     "smolvm machine exec --name t --stream -- sh -c 'echo 1 >&2; sleep 0.1; echo 2; sleep 0.1; "
     "echo 3 >&2; exit 4' 2>&1",
     4, "1\n2\n3\n", ""},
    {"environment and folder", NULL,
     "smolvm machine exec --name t -e A=1 -e B -e =C -e D= -w /etc -- sh -c 'echo $A-$B-${D-no}; "
     "pwd'",
     0, "1--\n/etc\n", ""},
    {"PATH and TERM of the container", NULL,
     "smolvm machine exec --name t -- sh -c 'echo $PATH $TERM'", 0,
     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin xterm-256color\n", ""},
    {"root without the host's environment", NULL,
     "SECRET=1 smolvm machine exec --name t -- sh -c 'id -u; echo ${SECRET-none} $HOME'", 0,
     "0\nnone /root\n", ""},
    {"stdin is empty without -i", NULL, "echo hi | smolvm machine exec --name t -- cat", 0, "", ""},
    {"stdin with -i", NULL, "echo hi | smolvm machine exec --name t -i -- cat", 0, "hi\n", ""},
    {"shell", NULL, "echo 'echo $((6*7)); exit 3' | smolvm machine shell --name t", 3, "42\n", ""},
    {"timeout", NULL,
     "smolvm machine exec --name t --timeout 200ms -- sh -c 'echo a; sleep 5; echo b'", 124, "a\n",
     "\ncommand timed out after 200ms"},
    {"timeout not reached", NULL, "smolvm machine exec --name t --timeout 1m -- echo a", 0, "a\n",
     ""},
    {"command behind its own flags", NULL, "smolvm machine exec --name t echo --name x", 0,
     "--name x\n", ""},
    {"started already", NULL, "smolvm machine start --name t | sed 's/[0-9][0-9]*/N/'", 0,
     "Machine 't' already running (PID: N)\n", ""},
    {"status", NULL, "smolvm machine status --name t | sed 's/[0-9][0-9]*/N/'", 0,
     "Machine 't': running (PID: N)\n", ""},
    {"cp of a host file that is not there", NULL, "smolvm machine cp /nonexistent t:/x", 1, "",
     "Error: agent operation failed: read local file: /nonexistent: No such file or directory (os "
     "error 2)\n"},
    {"cp to a parent", NULL, "smolvm machine cp /etc/hostname t:/root/../x", 1, "",
     "Error: agent operation failed: cp: invalid guest path /root/../x: parent traversal is not "
     "allowed\n"},
    {"cp to a dot", NULL, "smolvm machine cp /etc/hostname t:./x", 1, "",
     "Error: agent operation failed: cp: invalid guest path ./x: parent traversal is not "
     "allowed\n"},
    {"cp to nothing", NULL, "smolvm machine cp /etc/hostname t:", 1, "",
     "Error: agent operation failed: cp: guest path cannot be empty\n"},
    {"dots inside names are names", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "smolvm machine cp \"$KILLPOINT_STATE/e\" t:/a..b/.c 2>/dev/null; smolvm machine exec --name "
     "t -- ls -A /a..b",
     0, ".c\n", ""},
    {"cp to a folder", NULL,
     "smolvm machine cp /etc/hostname t:/etc; smolvm machine exec --name t -- sh -c 'ls -d "
     "/etc.smolvm* /*smolvm-upload* 2>/dev/null; exit 0'",
     0, "",
     "Error: agent operation failed: write file: failed to rename onto /etc: Is a directory (os "
     "error 21)\n"},
    {"empty file, shown twice in 0.8.0", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "cd \"$KILLPOINT_STATE\"; smolvm machine cp e t:root/e", 0, "",
     "\rUploading e -> root/e: 0 B (0 B/s)\rUploading e -> root/e: 0 B (0 B/s)\n"},
    {"empty file, since 0.8.1", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "cd \"$KILLPOINT_STATE\"; SMOLVM_FAKE_VERSION=0.8.1 smolvm machine cp e t:root/e", 0, "",
     "Uploading e -> root/e: 0 B (0 B/s)\n"},
    {"rule of the environment", NULL,
     "KILLPOINT_FAULTS='exec end:status=9' smolvm machine exec --name t -- sh -c 'echo a'", 9,
     "a\n", ""},
    {"rule of the environment is for one call", NULL,
     "KILLPOINT_FAULTS='begin' smolvm machine exec --name t -- true; smolvm machine exec --name t "
     "-- true",
     0, "", ""},
    {"killed before the command", NULL,
     "KILLPOINT_FAULTS='exec begin' smolvm machine exec --name t -- echo a", 137, "", ""},
    {"rules of a file", "echo 'exec end:status=8' >\"$KILLPOINT_STATE/f\"",
     "cd \"$KILLPOINT_STATE\"; KILLPOINT_FAULTS=@f smolvm machine exec --name t -- true", 8, "",
     ""},
    {"lost reply", NULL,
     "KILLPOINT_FAULTS='exec end:reply=lost' smolvm machine exec --name t -- sh -c 'echo a; echo b "
     ">/root/lost'; smolvm machine exec --name t -- cat /root/lost",
     0, "b\n", "Error: io operation failed: connection closed\n"},
};

static void every_call_into_a_guest_says_its_words(void **state)
{
    (void)state;
    start_machine();
    for (size_t i = 0; i < sizeof guest_rows / sizeof *guest_rows; i++)
        check_row(&guest_rows[i]);
}

static void start_and_stop_say_their_words(void **state)
{
    (void)state;
    struct run done = run_sh("smolvm machine create t --image %s -p 1:2 >/dev/null; "
                             "smolvm machine start -n t | sed 's/[0-9][0-9]*/N/'",
                             some_layout());
    check_success(&done);
    assert_string_equal(done.out, "Machine 't' running (PID: N)\n");
    assert_string_equal(done.err, "Starting machine 't' with 1 port mapping(s)...\n");
    run_release(&done);
    check_out("1\n", "smolvm machine status --name t --json | grep -c '\"state\": \"running\"'");
    check_out("true\n",
              "test -d /proc/$(smolvm machine status --name t | tr -dc 0-9) && echo true");
    check_out("Stopping machine 't'...\nStopped machine: t\n", "smolvm machine stop --name t");
    check_out("Machine 't' is not running (state: stopped)\n", "smolvm machine stop --name t");
    check_out("1\n", "smolvm machine status --name t --json | grep -c '\"pid\": null'");
}

static void files_outlive_a_stop_but_not_a_delete(void **state)
{
    (void)state;
    start_machine();
    check_out("", "smolvm machine exec --name t -- sh -c 'echo x >/root/f'");
    check_out("x\n", "smolvm machine stop --name t >/dev/null && smolvm machine start --name t "
                     ">/dev/null 2>&1 && smolvm machine exec --name t -- cat /root/f");
    check_out("Stopping machine 't'...\nCleaning up data directory for vm: t\nDeleted machine: t\n",
              "smolvm machine delete t -f");
    check_out("journal.ndjson\nmachines\n0\n",
              "ls -A \"$KILLPOINT_STATE\"; ls -A \"$KILLPOINT_STATE/machines\" | wc -l");
    check_out("0\n", "grep -c \"$KILLPOINT_STATE\" /proc/self/mountinfo || true");
}

static void copies_have_their_bytes_mode_and_owner(void **state)
{
    (void)state;
    start_machine();
    check_out("",
              "cd \"$KILLPOINT_STATE\" && head -c 3000000 /dev/urandom >big && chmod 600 big && "
              "smolvm machine cp big t:/new/deep/big 2>/dev/null");
    check_out("644 0 0\n755\n", "smolvm machine exec --name t -- stat -c '%a %u %g' /new/deep/big "
                                "&& smolvm machine exec --name t -- stat -c %a /new/deep");
    check_out("",
              "cd \"$KILLPOINT_STATE\" && smolvm machine cp t:/new/deep/big back 2>/dev/null && "
              "cmp big back");
    check_out("1\n", "cd \"$KILLPOINT_STATE\" && SMOLVM_FAKE_VERSION=1.0.2 smolvm machine cp big "
                     "t:/b 2>&1 | grep -cE '^Uploading big -> /b: 2\\.9 MB / 2\\.9 MB \\(100\\.0%, "
                     "[0-9.]+ [KMG]?B/s\\)$'");
    check_out("1\n", "cd \"$KILLPOINT_STATE\" && SMOLVM_FAKE_VERSION=1.0.2 smolvm machine cp t:/b "
                     "back 2>&1 | grep -cE '^Downloading /b -> back: 2\\.9 MB \\([0-9.]+ "
                     "[KMG]?B/s\\)$'");
    struct run done = run_sh("cd \"$KILLPOINT_STATE\" && smolvm machine cp t:/nonexistent gone; "
                             "code=$?; test ! -e gone && exit $code");
    check_clean_failure(&done, 1);
    assert_non_null(strstr(done.err, "Error: agent operation failed: "));
    run_release(&done);
}

static void symlinked_parent_cannot_leave_the_guest(void **state)
{
    (void)state;
    start_machine();
    CLEANUP(io_free) char *target = io_format("%s/outside", (char *)*state);
    assert_int_equal(mkdir(target, 0755), 0);
    struct run done = run_sh("smolvm machine exec --name t -- ln -s '%s' /root/out && "
                             "smolvm machine cp /etc/hostname t:/root/out/f; ls -A '%s'",
                             target, target);
    assert_string_equal(done.out, "");
    run_release(&done);
}

static void killed_client_dies_and_is_journaled_once(void **state)
{
    (void)state;
    start_machine();
    setenv("KILLPOINT_FAULTS", "exec end:scope=client", 1);
    struct run done = run((const char *const[]){"smolvm", "machine", "exec", "--name", "t", "--",
                                                "sh", "-c", "echo a; echo b >/root/f", NULL});
    unsetenv("KILLPOINT_FAULTS");
    assert_int_equal(done.how, PROC_SIGNALED);
    assert_int_equal(done.code, SIGKILL);
    assert_string_equal(done.out, "");
    assert_string_equal(done.err, "");
    run_release(&done);
    check_out("b\n", "smolvm machine exec --name t -- cat /root/f");
    check_journal("1 create t 0 - -\n2 start t 0 - -\n3 exec t - 9 1\n4 exec t 0 - -\n");
}

static void client_killed_from_outside_is_journaled_by_the_machine(void **state)
{
    (void)state;
    start_machine();
    struct run done = run_sh("smolvm machine exec --name t -- sleep 30 & sleep 0.2; kill -9 $!; "
                             "wait $!; echo $?");
    assert_string_equal(done.out, "137\n");
    run_release(&done);
    check_out("1\n", "for i in 1 2 3 4 5 6 7 8 9 10; do grep -c '\"exec\".*\"signal\": 9' "
                     "\"$KILLPOINT_STATE/journal.ndjson\" && break; sleep 0.1; done");
}

static void vm_that_dies_takes_the_output_and_the_machine(void **state)
{
    static const struct row row = {
        "VM dies",
        NULL,
        "KILLPOINT_FAULTS='exec at:ms=100:scope=vm' smolvm machine exec --name t -- sh -c 'echo a; "
        "sleep 5'; code=$?; smolvm machine exec --name t -- true; exit $code",
        1,
        "",
        "Error: io operation failed: connection closed\n" NOT_RUNNING("t")};
    (void)state;
    start_machine();
    check_row(&row);
}

static void streamed_output_stays_when_the_vm_dies(void **state)
{
    static const struct row row = {"VM dies under --stream",
                                   NULL,
                                   "KILLPOINT_FAULTS='exec at:ms=200:scope=vm' smolvm machine exec "
                                   "--stream --name t -- sh -c 'echo a; sleep 5'",
                                   1,
                                   "a\n",
                                   "error: io operation failed: connection closed\n"};
    (void)state;
    start_machine();
    check_row(&row);
}

/* Of a fresh container the command is PID 1. (Its namespace's number may be one used before.) */
static void exec_killed_with_the_container_is_followed_by_a_clean_one(void **state)
{
    static const struct row row = {
        "main ends",
        NULL,
        "smolvm machine exec --name t -- sh -c 'test $$ -gt 1' || exit 9; "
        "KILLPOINT_FAULTS='exec at:ms=200:scope=init' smolvm machine exec --name t -- sh -c 'echo "
        "a; echo kept >/root/f; sleep 30'; echo $?; smolvm machine exec --name t -- sh -c 'cat "
        "/root/f; echo $$'",
        0,
        "a\n137\nkept\n1\n",
        ""};
    (void)state;
    start_machine();
    check_row(&row);
}

static void machine_is_found_without_environment_and_in_long_folders(void **state)
{
    char part[101];
    memset(part, 'x', 100);
    part[100] = '\0';
    CLEANUP(io_free) char *deep = io_format("%s/%s/%s", (char *)*state, part, part);
    setenv("KILLPOINT_STATE", deep, 1);
    start_machine();
    struct run done =
        run_sh("env -i PATH=\"$PATH\" SMOLVM_DATA_DIR='%s' smolvm machine exec --name "
               "t -- echo a",
               deep);
    check_success(&done);
    assert_string_equal(done.out, "a\n");
    run_release(&done);
    done = run_sh("smolvm machine delete t -f");
    check_success(&done);
    run_release(&done);
}

static void calls_wait_for_their_turn(void **state)
{
    (void)state;
    start_machine();
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s/slots", (char *)*state);
    CLEANUP(io_close) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    const char *const argv[] = {"smolvm", "machine", "exec",    "--name", "t",
                                "--",     "touch",   "/root/f", NULL};
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    pid_t pid = proc_spawn(&spec, NULL);
    assert_true(pid > 0);
    CLEANUP(io_close) int turn = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(turn >= 0);
    int status;
    usleep(100000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    assert_int_equal(send(turn, "x", 1, MSG_NOSIGNAL), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    char rest;
    assert_int_equal(recv(turn, &rest, 1, 0), 0); /* the end of the call gives the turn back */
    /* A server that has gone limits nobody. */
    io_close(&listener);
    check_out("", "smolvm machine exec --name t -- true");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_without_a_guest_says_its_words),
        TEST(json_holds_what_the_real_one_holds),
        TEST(refused_calls_are_journaled_too),
        TEST(closed_stdout_does_not_change_the_status),
        TEST(every_call_into_a_guest_says_its_words),
        TEST(start_and_stop_say_their_words),
        TEST(files_outlive_a_stop_but_not_a_delete),
        TEST(copies_have_their_bytes_mode_and_owner),
        TEST(symlinked_parent_cannot_leave_the_guest),
        TEST(killed_client_dies_and_is_journaled_once),
        TEST(client_killed_from_outside_is_journaled_by_the_machine),
        TEST(vm_that_dies_takes_the_output_and_the_machine),
        TEST(streamed_output_stays_when_the_vm_dies),
        TEST(exec_killed_with_the_container_is_followed_by_a_clean_one),
        TEST(machine_is_found_without_environment_and_in_long_folders),
        TEST(calls_wait_for_their_turn),
    };
    return cmocka_run_group_tests_name("smolvm", tests, NULL, NULL);
}
