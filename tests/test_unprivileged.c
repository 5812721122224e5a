/*
 * Everything under Docker's default rules: no CAP_SYS_ADMIN, and a filter that refuses mounts and
 * namespaces. Verdicts are the same as with privileges, but for what needs more, and nothing is
 * left behind.
 *
 * Started as `test_unprivileged --docker CMD…` this program takes the rules on and executes CMD;
 * with --plainly it executes CMD alone.
 */
#include "play.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../fault/home.h"

#define LAYOUT "bookworm-mini"
#define COPIED                                                                                     \
    "machines are copied trees, for containers are refused here (make the machine's "              \
    "namespaces: Operation not permitted)"
#define RUN_MS 1200000
#define GONE_MS 20000

/* --- Docker's rules ---------------------------------------------------------------------- */

static const int kept_capabilities[] = {
    CAP_CHOWN,      CAP_DAC_OVERRIDE,     CAP_FSETID, CAP_FOWNER,     CAP_MKNOD,
    CAP_NET_RAW,    CAP_SETGID,           CAP_SETUID, CAP_SETFCAP,    CAP_SETPCAP,
    CAP_SYS_CHROOT, CAP_NET_BIND_SERVICE, CAP_KILL,   CAP_AUDIT_WRITE};

static int refuse_calls(void)
{
    static const int refused[] = {SCMP_SYS(mount),      SCMP_SYS(umount2),    SCMP_SYS(unshare),
                                  SCMP_SYS(setns),      SCMP_SYS(pivot_root), SCMP_SYS(open_tree),
                                  SCMP_SYS(move_mount), SCMP_SYS(fsopen),     SCMP_SYS(fsmount)};
    static const unsigned long flags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                          CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};
    scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
    int ret = context ? seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0) : -ENOMEM;
    for (size_t i = 0; i < sizeof refused / sizeof *refused && ret == 0; i++)
        ret = seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    for (size_t i = 0; i < sizeof flags / sizeof *flags && ret == 0; i++) {
        const struct scmp_arg_cmp has = SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]);
        ret = seccomp_rule_add_array(context, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1, &has);
    }
    if (ret == 0)
        ret = seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (ret == 0)
        ret = seccomp_load(context);
    seccomp_release(context);
    return ret;
}

static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}, {0}};
    uint64_t kept = 0;
    for (size_t i = 0; i < sizeof kept_capabilities / sizeof *kept_capabilities; i++)
        kept |= UINT64_C(1) << kept_capabilities[i];
    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (!(kept >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) < 0)
            return -errno;
    for (int i = 0; i < 2; i++)
        data[i].permitted = data[i].effective = (uint32_t)(kept >> (32 * i));
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int docker_main(char **argv)
{
    int ret = refuse_calls();
    if (ret == 0)
        ret = drop_capabilities();
    if (ret < 0) {
        fprintf(stderr, "take on the rules: %s\n", strerror(-ret));
        return 125;
    }
    execvp(argv[0], argv);
    return 127;
}

/* --- the bench --------------------------------------------------------------------------- */

static char self[4096];

/* Copied trees are many files. */
static void use_memory(void)
{
    struct statvfs vfs;
    if (statvfs("/dev/shm", &vfs) == 0 && !(vfs.f_flag & (ST_NODEV | ST_NOEXEC)) &&
        (uint64_t)vfs.f_bavail * vfs.f_frsize > UINT64_C(4) << 30)
        setenv("TMPDIR", "/dev/shm", 1);
}

static int set_up(void **state)
{
    CLEANUP(io_free) char *program = NULL;
    struct err err;
    need_root();
    need_layout(LAYOUT);
    if (home_find("bin/killpoint", &program, &err) < 0)
        fail_msg("%s", err.msg);
    *strrchr(program, '/') = '\0';
    *strrchr(program, '/') = '\0';
    CLEANUP(io_free)
    char *path = io_format("%s/bin:%s/fakes:/usr/sbin:/usr/bin:/sbin:/bin", program, program);
    setenv("PATH", path, 1);
    char *folder = dir_make();
    *state = folder;
    setenv("KILLPOINT_STATE", folder, 1);
    unsetenv("KILLPOINT_FAULTS");
    return 0;
}

static int tear_down(void **state)
{
    dir_remove((char **)state);
    return 0;
}

static bool names_folder(const char *pid, const char *file, const char *folder)
{
    CLEANUP(io_free) char *path = io_format("/proc/%s/%s", pid, file);
    CLEANUP(buf_release) struct buf text = BUF_INIT;
    char link[4096];
    ssize_t len = readlink(path, link, sizeof link);
    if (len > 0)
        return memmem(link, (size_t)len, folder, strlen(folder)) != NULL;
    io_read_file(AT_FDCWD, path, &text, 1 << 20, NULL);
    return text.len > 0 && memmem(text.data, text.len, folder, strlen(folder)) != NULL;
}

/* Whoever has the folder in his command line or environment, as root or working folder. */
static size_t count_processes(const char *folder)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;
    while ((entry = readdir(dir))) {
        pid_t pid = atoi(entry->d_name);
        const char *name = entry->d_name;
        if (pid > 0 && pid != getpid() &&
            (names_folder(name, "cmdline", folder) || names_folder(name, "environ", folder) ||
             names_folder(name, "root", folder) || names_folder(name, "cwd", folder)))
            count++;
    }
    closedir(dir);
    return count;
}

static void check_nobody_left(const char *folder, int64_t wait_ms)
{
    int64_t deadline_ms = io_now_ms() + wait_ms;
    while (count_processes(folder) > 0) {
        if (io_now_ms() >= deadline_ms)
            fail_msg("%zu processes are left of %s", count_processes(folder), folder);
        poll(NULL, 0, 20);
    }
}

/* No run, no machine: at most the journal. */
static void check_no_files_left(const char *folder)
{
    struct run done = run_sh("ls -A '%s' | grep -v '^journal.ndjson$' || :", folder);
    assert_string_equal(done.out, "");
    run_release(&done);
}

static struct run run_long(const char *script)
{
    const struct proc_spec spec = {.argv = (const char *const[]){"sh", "-c", script, NULL},
                                   .stdin_fd = -1};
    struct proc_result result;
    struct err err;
    if (proc_run(&spec, NULL, RUN_MS, &result, &err) < 0)
        fail_msg("%s", err.msg);
    CLEANUP(buf_release) struct buf out = BUF_INIT;
    CLEANUP(buf_release) struct buf errors = BUF_INIT;
    capture_text(&result.out, &out);
    capture_text(&result.err, &errors);
    struct run done = {result.how, result.code, strdup(buf_str(&out)), strdup(buf_str(&errors)),
                       result.ms};
    proc_result_release(&result);
    return done;
}

/* --- verdicts ------------------------------------------------------------------------------ */

/* {ID: {"verdict", "reason"?, …}} of a results file. */
static json_t *read_trials(const char *path)
{
    json_t *trials = json_object();
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (json_t *event; (event = json_loadf(file, JSON_DISABLE_EOF_CHECK, NULL));) {
        const char *id = json_string_value(json_object_get(event, "id"));
        if (id)
            json_object_set_new(trials, id, event);
        else
            json_decref(event);
    }
    fclose(file);
    return trials;
}

static json_t *play_suite(const char *folder, const char *before, const char *backend,
                          const char *layout, const char *globs)
{
    CLEANUP(io_free) char *results = io_format("%s/results.ndjson", folder);
    CLEANUP(io_free)
    char *script = io_format(
        "%s killpoint run --backend %s --results '%s' $(for g in %s; do echo \"$g@%s\"; done)",
        before, backend, results, globs, layout);
    struct run done = run_long(script);
    check_success(&done);
    const char *note = strstr(done.out, COPIED);
    if (!note != !*before || (note && strstr(note + 1, COPIED)))
        fail_msg("the table says it not once, or although nothing is refused:\n%s", done.out);
    run_release(&done);
    json_t *trials = read_trials(results);
    unlink(results);
    return trials;
}

/* All that may be UNSUPPORTED for want of privileges. */
static const char *const more[] = {"exec/full-disk",
                                   "exec/read-only-store",
                                   "places/vm-dies-before-rename",
                                   "places/vm-dies-inside",
                                   "places/main-command-at-hash-link",
                                   "places/vm-dies-inside-recovery",
                                   "places/vm-dies-at-the-end",
                                   "copied/not-synced",
                                   "cp/full-disk",
                                   "cp/read-only-target",
                                   "kill/main-command-ends",
                                   "docker/container-ends",
                                   "beside/update-starts-meanwhile",
                                   "beside/update-under-way",
                                   "retry/after-137-of-its-own"};

static bool needs_more(const char *id)
{
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        size_t len = strlen(more[i]);
        if (strncmp(id, more[i], len) == 0 && (id[len] == '@' || id[len] == '['))
            return true;
    }
    return false;
}

static const char *word(json_t *trial, const char *key)
{
    const char *text = json_string_value(json_object_get(trial, key));
    return text ? text : "";
}

static void compare(const char *backend, json_t *with, json_t *without)
{
    const char *id;
    json_t *trial;
    assert_int_equal(json_object_size(with), json_object_size(without));
    assert_true(json_object_size(with) > 0);
    json_object_foreach(with, id, trial)
    {
        json_t *other = json_object_get(without, id);
        const char *verdict = word(trial, "verdict"), *found = word(other, "verdict");
        bool refused = strcmp(found, "UNSUPPORTED") == 0 &&
                       strstr(word(other, "reason"), "machines are copied trees here");
        bool expected = needs_more(id) && strcmp(verdict, "UNSUPPORTED") != 0;
        if (refused != expected || (!refused && strcmp(verdict, found) != 0))
            fail_msg("%s, %s: %s with privileges, %s without (%s)", backend, id, verdict, found,
                     word(other, "reason"));
    }
}

#define BROAD "'install/*' 'exec/*' 'places/*' 'kill/*' 'cp/*' 'beside/*' 'retry/*'"

/* Without TEST_HEAVY a choice of scenarios, which has every kind of fault. */
static void verdicts_are_the_same_but_for_what_needs_more(void **state)
{
    static const struct {
        const char *backend, *layout, *chosen;
    } all[] = {
        {"upstream", "bookworm-mini", BROAD},
        {"hardened", "bookworm-mini", BROAD},
        {"upstream", "bullseye-mini", "'places/*'"},
        {"hardened", "bullseye-mini", "'places/*'"},
        {"upstream", "trixie-mini", "'places/one-*'"},
        {"hardened", "trixie-mini", "'places/one-*'"},
        {"docker-sh", "bookworm-mini+docker", "'kill/*' 'docker/*' 'exec/*'"},
    };
    const char *folder = *state;
    CLEANUP(io_free) char *docker = io_format("'%s' --docker", self);
    need_layout("bookworm-mini");
    need_layout("bullseye-mini");
    need_layout("trixie-mini");
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *globs = getenv("TEST_HEAVY") ? "'*'" : all[i].chosen;
        json_t *with = play_suite(folder, "", all[i].backend, all[i].layout, globs);
        json_t *without = play_suite(folder, docker, all[i].backend, all[i].layout, globs);
        check_nobody_left(folder, 0);
        check_no_files_left(folder);
        compare(all[i].backend, with, without);
        json_decref(with);
        json_decref(without);
    }
}

/* --- what a backend leaves behind ------------------------------------------------------------- */

static const struct row {
    const char *name, *backend;
    int code;
    const char *verdict, *said;
} rows[] = {
    {"a daemon", "setsid sh -c 'sleep 600 & sleep 600' & exit 0", 1, "LEAK", "sleep"},
    {"a daemon that ignores signals", "trap '' TERM HUP; setsid sleep 600 & exit 0", 1, "LEAK",
     "sleep"},
    {"who kills the one above it", "setsid sleep 600 >/dev/null 2>&1 & kill -KILL $PPID; exit 0", 3,
     "ERROR", "without a report"},
    {"who stops the one above it", "kill -STOP $PPID; exec sleep 600", 1, "TIMEOUT", ""},
    {"a crash", "kill -SEGV $$", 1, "CRASH", ""},
};

static void nothing_that_a_backend_leaves_survives(void **state)
{
    const char *folder = *state;
    need_layout(LAYOUT);
    play_add("one", "limits: {run_ms: 4000}\nexpect: {claim: success, store: {must: report}}");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CLEANUP(buf_release) struct buf script = BUF_INIT;
        buf_printf(&script, "'%s' --docker killpoint run -- sh -c ", self);
        buf_add_quoted(&script, rows[i].backend);
        struct run done = play(buf_str(&script));
        play_check_code(rows[i].name, &done, rows[i].code);
        play_check_has(rows[i].name, done.out, rows[i].verdict);
        play_check_has(rows[i].name, done.out, rows[i].said);
        run_release(&done);
        check_nobody_left(folder, 0);
        check_no_files_left(getenv("KILLPOINT_STATE"));
    }
}

static void wait_for_processes(const char *folder, size_t count)
{
    int64_t deadline_ms = io_now_ms() + GONE_MS;
    while (count_processes(folder) < count) {
        if (io_now_ms() >= deadline_ms)
            fail_msg("the backend does not come so far");
        poll(NULL, 0, 20);
    }
}

/* Runner, trial, init, backend, its sleep, two of the machine, the client, the guest's sleep. */
static void a_killed_runner_leaves_nobody(void **state)
{
    static const int signals[] = {SIGKILL, SIGTERM};
    const char *folder = *state;
    for (size_t i = 0; i < 2; i++) {
        const char *script = "setsid sleep 600 & smolvm machine exec --name $1 -- sh -c "
                             "'sleep 600 & setsid sleep 600 & sleep 600'";
        const struct proc_spec spec = {
            .argv = (const char *const[]){self, "--docker", "killpoint", "run",
                                          "install/undisturbed@" LAYOUT, "--layout", LAYOUT, "--",
                                          "sh", "-c", script, "sh", "{machine}", NULL},
            .stdin_fd = -1,
            .stdout_fd = -1,
            .stderr_fd = -1};
        struct err err;
        pid_t pid = proc_spawn(&spec, &err);
        if (pid < 0)
            fail_msg("%s", err.msg);
        wait_for_processes(folder, 11);
        kill(pid, signals[i]);
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        check_nobody_left(folder, signals[i] == SIGKILL ? GONE_MS : 0);
        if (signals[i] == SIGKILL) { /* the next run sweeps the files */
            struct run done = run_sh("'%s' --docker killpoint run install/undisturbed@" LAYOUT
                                     " --layout " LAYOUT " --backend upstream",
                                     self);
            check_success(&done);
            run_release(&done);
        }
        check_no_files_left(folder);
    }
}

/* --- by hand -----------------------------------------------------------------------------------
 */

/* A shell whose every program runs under the rules; D is the word to get there. */
static const char by_hand[] =
    "set -e\n"
    "smolvm machine create t --image " LAYOUT " >/dev/null\n"
    "smolvm machine start --name t 2>&1 >/dev/null | grep -c 'WARN .* copied tree'\n"
    "smolvm machine exec --name t -- sh -c 'id -u; ls /dev/null; echo kept >/root/f; rm /etc/motd; "
    "echo x >/dev/null'\n"
    "echo up >\"$KILLPOINT_STATE/up\"; smolvm machine cp \"$KILLPOINT_STATE/up\" t:/opt/up 2>&1 | "
    "grep -c .\n"
    "rm \"$KILLPOINT_STATE/up\"\n"
    "script -qec 'smolvm machine exec -t --name t -- sh -c \"test -t 0 && echo terminal\"' "
    "/dev/null </dev/null | tr -d '\\r'\n"
    "smolvm machine exec --name t -- sh -c 'sleep 600 >/dev/null 2>&1 & echo left'\n"
    "smolvm machine exec --name t -- sh -c 'kill -0 -1 2>/dev/null; echo spared $?'\n"
    "KILLPOINT_FAULTS='exec write:path=/root/g' smolvm machine exec --name t -- sh -c "
    "'echo no >/root/g' || echo $?\n"
    "KILLPOINT_FAULTS='exec begin:scope=init' smolvm machine exec --name t -- true 2>&1 | "
    "grep -c 'need namespaces'\n"
    "smolvm machine stop --name t >/dev/null\n"
    "smolvm machine start --name t >/dev/null 2>&1\n"
    "smolvm machine exec --name t -- sh -c 'cat /root/f /opt/up; ls /etc/motd 2>/dev/null || "
    "echo gone; wc -c </root/g'\n"
    "kill -KILL $(sed 1q \"$KILLPOINT_STATE/machines/t/pid\")\n"
    "while smolvm machine exec --name t -- true 2>/dev/null; do sleep 0.1; done\n"
    "smolvm machine start --name t >/dev/null 2>&1\n"
    "smolvm machine exec --name t -- cat /root/f\n"
    "smolvm machine delete t -f >/dev/null 2>&1\n";

static void a_machine_by_hand_keeps_what_it_was_told(void **state)
{
    CLEANUP(buf_release) struct buf quoted = BUF_INIT;
    buf_add_quoted(&quoted, by_hand);
    struct run done = run_sh("'%s' --docker sh -c %s", self, buf_str(&quoted));
    check_success(&done);
    assert_string_equal(
        done.out,
        "1\n0\n/dev/null\n1\nterminal\nleft\nspared 1\n137\n1\nkept\nup\ngone\n0\nkept\n");
    run_release(&done);
    check_nobody_left(*state, 0);
    check_no_files_left(*state);
}

/* --- other places -------------------------------------------------------------------------- */

static const struct place {
    const char *name;
    const char *mount;  /* a shell command that mounts on ./m */
    const char *before; /* of killpoint run */
    int code;
    const char *said;
} places[] = {
    {"no devices", "mount -t tmpfs -o nodev none m", "--docker", 2,
     "takes no devices (Permission denied)"},
    {"no programs", "mount -t tmpfs -o noexec none m", "--docker", 2,
     "takes no programs (noexec): set KILLPOINT_STATE"},
    {"an overlay, which takes no other one upon itself",
     "mkdir l u w && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m", "--plainly", 0,
     "machines are copied trees, for containers are refused here (mount overlay on merged"},
    {"no programs, with namespaces", "mount -t tmpfs -o noexec none m", "--plainly", 0,
     "1 passed, 0 "},
    {"memory with devices and programs", "mount -t tmpfs none m", "--plainly", 0, "1 passed, 0 "},
};

static void a_place_is_tried_out(void **state)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const struct place *place = &places[i];
        struct run done =
            run_sh("cd '%s' && rm -rf m l u w && mkdir m && unshare -m sh -c '%s && "
                   "KILLPOINT_STATE=$PWD/m && export KILLPOINT_STATE && cd / && "
                   "exec \"$@\" killpoint run --backend upstream install/undisturbed@" LAYOUT
                   "' sh '%s' %s",
                   (char *)*state, place->mount, self, place->before);
        play_check_code(place->name, &done, place->code);
        play_check_has(place->name, place->code ? done.err : done.out, place->said);
        assert_string_equal(place->code ? done.out : done.err, "");
        run_release(&done);
    }
}

/* --- exploring ---------------------------------------------------------------------------------
 */

static void an_exploration_finds_the_same(void **state)
{
    (void)state;
    static const char script[] = "killpoint explore --backend upstream --layout " LAYOUT;
    CLEANUP(io_free) char *docker = io_format("'%s' --docker %s", self, script);
    struct run with = run_long(script), without = run_long(docker);
    check_clean_failure(&with, 1);
    check_clean_failure(&without, 1);
    assert_string_equal(with.out, without.out);
    assert_non_null(strstr(without.err, COPIED));
    run_release(&with);
    run_release(&without);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 2 && strcmp(argv[1], "--docker") == 0)
        return docker_main(argv + 2);
    if (argc > 2 && strcmp(argv[1], "--plainly") == 0)
        return execvp(argv[2], argv + 2);
    if (!realpath("/proc/self/exe", self))
        return 1;
    use_memory();
    const struct CMUnitTest tests[] = {
        TEST(a_machine_by_hand_keeps_what_it_was_told),
        cmocka_unit_test_setup_teardown(nothing_that_a_backend_leaves_survives, play_set_up,
                                        play_tear_down),
        TEST(a_killed_runner_leaves_nobody),
        TEST(a_place_is_tried_out),
        TEST(an_exploration_finds_the_same),
        TEST(verdicts_are_the_same_but_for_what_needs_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
