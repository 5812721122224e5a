/*
 * What the runner makes of backends that are no friends of it: each row is a command line
 * behind `--`, and the verdict that it must get.
 */
#include "play.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#define SUCCESS "expect: {claim: success, store: {must: report}}"
#define FAILURE "expect: {claim: failure}"
#define STORE "expect: {claim: success, calls: {cp: 1, exec: 1}, store: {must: pass}}"

struct row {
    const char *name;
    const char *scenario; /* more YAML */
    const char *backend;  /* a shell command */
    const char *verdict;
    int code;
    const char *has; /* must stand in the table; NULL: nothing more */
};

static const struct row rows[] = {
    {"a good one", STORE, "exec " PLAY_GOOD, "PASS", 0, NULL},
    {"dies by a signal where failure is right", FAILURE, "kill -9 $$", "CRASH", 1,
     "killed by signal 9"},
    {"dies by a signal where success is right", SUCCESS, "kill -15 $$", "CRASH", 1,
     "killed by signal 15"},
    {"hangs", "limits: {run_ms: 500}\n" FAILURE, "sleep 100", "TIMEOUT", 1, "still running"},
    {"hangs and ignores signals", "limits: {run_ms: 500}\n" FAILURE,
     "trap '' TERM INT HUP; while :; do sleep 1; done", "TIMEOUT", 1, "still running"},
    {"hangs in a call", "limits: {run_ms: 500}\n" FAILURE,
     "smolvm machine exec --name {machine} -- sleep 100", "TIMEOUT", 1, "still running"},
    {"a daemon outlives it", STORE,
     "setsid sleep 1000 </dev/null >/dev/null 2>&1 & exec " PLAY_GOOD, "LEAK", 1, "sleep"},
    {"a child that holds its streams outlives it", STORE, "sleep 1000 & exec " PLAY_GOOD, "LEAK", 1,
     "sleep"},
    {"does not support it", STORE, "exit 77", "UNSUPPORTED", 4, "  -- the backend says so (77)\n"},
    {"says that it is broken", STORE, "exit 99", "ERROR", 3, "99"},
    {"says that it is broken where failure is right", FAILURE, "exit 99", "ERROR", 3, "99"},
    {"cannot be started", STORE, "exec /nonexistent/program", "FAIL", 1, "exit status 127"},
    {"gives the driver an unknown flag",
     "expect: {claim: success, calls: {exec: 1}, store: {must: report}}",
     "smolvm machine exec --bogus --name {machine} -- true; exit 0", "FAIL", 1,
     "calls/exec\n      expected  1\n      found     0, and 1 refused by the driver as wrong usage "
     "(status 2)\n"},
    {"takes the fakes off PATH", STORE,
     "PATH=/usr/bin:/bin; smolvm machine cp {cert} {machine}:{ca_path}; exit 0", "FAIL", 1,
     "calls/cp"},
    {"cleans its environment", STORE, "exec env -i PATH=\"$PATH\" " PLAY_GOOD, "PASS", 0, NULL},
    {"calls $SMOLVM with no environment at all",
     "expect: {claim: success, calls: {cp: 1, exec: 1}, store: {must: report}}",
     "env -i \"$SMOLVM\" machine cp {cert} {machine}:{ca_path} && "
     "env -i \"$SMOLVM\" machine exec --name {machine} -- openssl version",
     "PASS", 0, NULL},
    {"gets no blocked signal and no open file that we had not", SUCCESS,
     "grep -q 'SigBlk:.0000000000000000' /proc/self/status && "
     "[ \"$(ls /proc/self/fd | wc -l)\" = $FDS ]",
     "PASS", 0, NULL},
    {"reads an empty stdin", SUCCESS, "[ \"$(wc -c)\" = 0 ]", "PASS", 0, NULL},
    {"prints NUL bytes and what is no UTF-8", SUCCESS,
     "printf 'a\\0b\\377'; printf 'a\\0b\\376' >&2", "PASS", 0, NULL},
    {"prints NUL bytes and fails", SUCCESS, "printf 'a\\0b\\377' >&2; exit 1", "FAIL", 1,
     "exit status 1"},
    {"stops its machine at the end", STORE, PLAY_GOOD "; smolvm machine stop --name {machine}",
     "PASS", 0, NULL},
    {"starts its machine anew, in its own process namespace",
     "expect: {claim: success, calls: {cp: 1, exec: 1}, store: {must: pass}}\n"
     "faults: ['cp#1 end:delay=1']",
     PLAY_GOOD "; smolvm machine stop --name {machine}; smolvm machine start --name {machine}",
     "LEAK", 1, " smolvm-vmm\\n"},
    {"deletes its machine", STORE, PLAY_GOOD "; smolvm machine delete {machine} -f", "FAIL", 1,
     "store/must/bundle-has-ca\n      expected  the bundle holds the CA\n      found     the "
     "machine "
     "is not there any more\n"},
    {"deletes its machine before the fault", "faults: ['exec#2 begin:status=137']\n" SUCCESS,
     "smolvm machine delete {machine} -f", "FAIL", 1,
     "exec#2 begin:status=137\n      found     0 times\n"},
    {"says why on stdout", SUCCESS, "echo no database; exit 1", "FAIL", 1,
     "it said   no database\n"},
    {"its guest prints NUL bytes",
     "expect: {claim: success, calls: {exec: 1}, store: {must: report}}",
     "smolvm machine exec --name {machine} -- printf 'a\\0b\\377'", "PASS", 0, NULL},
};

#define ROW_MS 20000 /* every deadline of the rows, and the machines around it */

/* Whether a process names the home of this test in its command line or its environment. */
static bool belongs_here(const char *pid)
{
    static const char *const files[] = {"cmdline", "environ"};
    const char *home = getenv("KP");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        CLEANUP(io_free) char *path = io_format("/proc/%s/%s", pid, files[i]);
        CLEANUP(buf_release) struct buf text = BUF_INIT;
        if (io_read_file(AT_FDCWD, path, &text, 4 << 20, NULL) == 0 &&
            memmem(buf_str(&text), text.len, home, strlen(home)))
            return true;
    }
    return false;
}

/* Backends have the home in their environment, machines in their command line. */
static void check_nothing_runs(const char *name)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    assert_non_null(dir);
    while ((entry = readdir(dir)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atoi(entry->d_name) != getpid() &&
            belongs_here(entry->d_name))
            fail_msg("%s: process %s still runs", name, entry->d_name);
    closedir(dir);
}

static void check_row(const struct row *row)
{
    play_add("one", row->scenario);
    setenv("CMD", row->backend, 1);
    struct run done = play("export FDS=$(ls /proc/self/fd | wc -l)\n"
                           "killpoint run -- sh -c \"$CMD\"");
    CLEANUP(io_free)
    char *line = io_format("%-11s play/one@bookworm-mini", row->verdict);
    play_check_code(row->name, &done, row->code);
    play_check_has(row->name, done.out, line);
    if (row->has)
        play_check_has(row->name, done.out, row->has);
    if (done.ms > ROW_MS)
        fail_msg("%s: took %lld ms", row->name, (long long)done.ms);
    check_nothing_runs(row->name);
    run_release(&done);
}

static void each_backend_gets_its_verdict(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check_row(&rows[i]);
}

static const struct {
    const char *name;
    const char *end; /* of the backend: a shell command */
    const char *verdict;
    int code;
} mapped[] = {
    {"of no use", "exit 64", "PASS", 0},
    {"of no use, and not said so", "exit 2", "FAIL", 1},
    {"not supported", "exit 3", "UNSUPPORTED", 4},
    {"77 is a failure like others", "exit 77", "FAIL", 1},
    {"broken", "exit 70", "ERROR", 3},
    {"a signal has no status", "kill -3 $$", "CRASH", 1},
};

static void an_exit_map_says_what_its_statuses_mean(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", "expect: {claim: failure, exit: 2}");
    for (size_t i = 0; i < sizeof mapped / sizeof *mapped; i++) {
        CLEANUP(io_free)
        char *text = io_format("format: 1\nname: mapped\ntitle: of a test\n"
                               "command: {smolvm: [sh, -c, '%s']}\n"
                               "exit_map: {64: 2, 2: 1, 3: 77, 77: 1, 70: 99}\n",
                               mapped[i].end);
        CLEANUP(io_free) char *line = io_format("%-11s play/one@", mapped[i].verdict);
        play_write("backends/mapped.yaml", text);
        struct run done = play("killpoint run --backend mapped");
        play_check_code(mapped[i].name, &done, mapped[i].code);
        play_check_has(mapped[i].name, done.out, line);
        run_release(&done);
    }
}

static void a_program_that_is_not_there_is_told_once(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", STORE);
    struct run done = play("killpoint run -- /nonexistent/backend");
    play_check_code("no such program", &done, 2);
    assert_string_equal(done.err,
                        "killpoint run: the backend's program /nonexistent/backend: No such "
                        "file or directory\n");
    run_release(&done);
}

static void a_gibibyte_on_stdout_is_cut_and_memory_stays_small(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", STORE);
    struct run done = play("killpoint run --results r -- sh -c "
                           "'head -c 1073741824 /dev/zero | tr \"\\\\0\" x; exec " PLAY_GOOD "' && "
                           "grep -c 'bytes left out' r && [ $(wc -c <r) -lt 1000000 ]");
    struct rusage usage;
    play_check_code("1 GiB", &done, 0);
    check_nothing_runs("1 GiB");
    run_release(&done);
    getrusage(RUSAGE_CHILDREN, &usage);
    /* KiB; the largest of all children so far, and of theirs that were waited for */
    if (usage.ru_maxrss > 400 << 10)
        fail_msg("a child took %ld KiB", usage.ru_maxrss);
}

static char *long_folder(void)
{
    char name[121];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    char *path = io_format("%s/%s", getenv("KP"), name);
    struct err err;
    if (io_make_dirs(path, 0755, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(strlen(path) >= 140);
    return path;
}

static void check_good(const char *name)
{
    struct run done = play("killpoint run -- " PLAY_GOOD);
    play_check_code(name, &done, 0);
    play_check_has(name, done.out, "PASS        play/one@bookworm-mini");
    run_release(&done);
}

static void paths_of_150_bytes_work(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", STORE);
    CLEANUP(io_free) char *folder = long_folder();
    CLEANUP(io_free) char *state_path = io_format("%s/state", folder);
    setenv("KILLPOINT_STATE", state_path, 1);
    check_good("KILLPOINT_STATE");
    const char *old = getenv("TMPDIR");
    CLEANUP(io_free) char *kept = old ? io_format("%s", old) : NULL;
    setenv("TMPDIR", folder, 1);
    check_good("TMPDIR and KILLPOINT_STATE");
    if (kept)
        setenv("TMPDIR", kept, 1);
    else
        unsetenv("TMPDIR");
}

static void the_default_state_folder_works(void **state)
{
    (void)state;
    need_layout("bookworm-mini");
    play_add("one", STORE);
    unsetenv("KILLPOINT_STATE");
    unsetenv("SMOLVM_DATA_DIR");
    check_good("no KILLPOINT_STATE");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, play_set_up, play_tear_down)
        T(each_backend_gets_its_verdict),
        T(an_exit_map_says_what_its_statuses_mean),
        T(a_program_that_is_not_there_is_told_once),
        T(a_gibibyte_on_stdout_is_cut_and_memory_stays_small),
        T(paths_of_150_bytes_work),
        T(the_default_state_folder_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
