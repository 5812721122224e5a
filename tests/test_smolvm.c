/*
 * The fake smolvm as a program, without a machine that runs: every verb, its streams and its
 * exit codes. With one: test_smolvm_exec.c.
 */
#include "machine.h"

#include "../fakes/state.h"

#define CREATED(name)                                                                              \
    "Created machine: " name                                                                       \
    "\n  CPUs: 4, Memory: 8192 MiB\n\nUse 'smolvm machine start --name " name                      \
    "' to start the machine\nThen use 'smolvm machine exec --name " name                           \
    " -- <command>' to run commands\n"
#define CREATE_M "smolvm machine create m --image bookworm"
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

/* The kill comes while the files go. */
static void what_a_killed_delete_left_goes_with_the_next_create(void **state)
{
    (void)state;
    check_out("n\n", CREATE_M
              " >/dev/null && cd \"$KILLPOINT_STATE/machines/m\" && seq 1 30000 | xargs touch && "
              "{ smolvm machine delete m -f >/dev/null 2>&1 & } && while test -d "
              "\"$KILLPOINT_STATE/machines/m\"; do :; done; "
              "kill -9 $!; wait $!; smolvm machine create n --image bookworm >/dev/null; "
              "ls -A \"$KILLPOINT_STATE/machines\"");
}

/* A maker at work holds the lock, and its half of a machine stays. */
static void maker_at_work_is_waited_for_and_not_swept(void **state)
{
    struct run half = run_sh("mkdir -p \"$KILLPOINT_STATE/machines/.new\"");
    check_success(&half);
    run_release(&half);
    CLEANUP(io_close) int lock_fd = -1;
    assert_int_equal(state_lock(*state, &lock_fd, NULL), 0);
    const char *const argv[] = {"smolvm", "machine", "create", "m", "--image", "bookworm", NULL};
    const struct proc_spec spec = {.argv = argv, .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1};
    pid_t pid = proc_spawn(&spec, NULL);
    assert_true(pid > 0);
    int status;
    usleep(200000);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    check_out(".new\n", "ls -A \"$KILLPOINT_STATE/machines\"");
    io_close(&lock_fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    check_out("m\n", "ls -A \"$KILLPOINT_STATE/machines\"");
}

static void makers_and_removers_do_not_disturb_each_other(void **state)
{
    (void)state;
    check_out(
        "0\n0\n0\njournal.ndjson\n",
        "for i in 1 2 3; do (for n in 1 2 3 4 5 6 7 8 9 10; do smolvm machine create m$i "
        "--image bookworm && smolvm machine delete m$i -f || exit; done >/dev/null; echo $?) & "
        "done; wait; ls -A \"$KILLPOINT_STATE\"");
}

/* As a trial's driver is found; a relative name and a cleaned environment serve as well. */
static void the_link_beside_the_name_counts_before_the_environment(void **state)
{
    (void)state;
    check_out("0\n0\n0\nm\nother\n2\n",
              "cd \"$KILLPOINT_STATE\" && mkdir bin other && ln -s ../other bin/.state && "
              "ln -s \"$(command -v smolvm)\" bin/smolvm || exit\n"
              "KILLPOINT_FAULTS=nonsense bin/smolvm machine create m --image bookworm >/dev/null\n"
              "echo $?\n"
              "env -i bin/smolvm machine delete m -f >/dev/null; echo $?\n"
              "(cd bin && PATH=:/bin && smolvm machine ls >/dev/null; echo $?)\n"
              "PATH=$PWD/bin:$PATH; smolvm machine create m --image bookworm >/dev/null\n"
              "ls other/machines; ls -d machines other 2>/dev/null\n"
              "rm bin/.state; KILLPOINT_FAULTS=nonsense smolvm machine ls >/dev/null 2>&1; "
              "echo $?; rm -r bin other");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_without_a_guest_says_its_words),
        TEST(json_holds_what_the_real_one_holds),
        TEST(refused_calls_are_journaled_too),
        TEST(what_a_killed_delete_left_goes_with_the_next_create),
        TEST(maker_at_work_is_waited_for_and_not_swept),
        TEST(makers_and_removers_do_not_disturb_each_other),
        TEST(closed_stdout_does_not_change_the_status),
        TEST(the_link_beside_the_name_counts_before_the_environment),
    };
    return cmocka_run_group_tests_name("smolvm", tests, NULL, NULL);
}
