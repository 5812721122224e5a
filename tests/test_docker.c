/*
 * The fake docker as a program: verbs, texts and exit codes, on the machines of the fake smolvm.
 */
#include "machine.h"

#define MISSING "Error response from daemon: No such container: x\n"
#define RUNC "OCI runtime exec failed: exec failed: unable to start container process: "

static const struct row unknown_rows[] = {
    {"exec", NULL, "docker exec x ls", 1, "", MISSING},
    {"cp", NULL, "docker cp /etc/hostname x:/y", 1, "", MISSING},
    {"stop", NULL, "docker stop x", 1, "", MISSING},
    {"kill", NULL, "docker kill x", 1, "", MISSING},
    {"rm", NULL, "docker rm x", 1, "", MISSING},
    {"rm -f is content", NULL, "docker rm -f x", 0, "", MISSING},
    {"start", NULL, "docker start x", 1, "", MISSING "Error: failed to start containers: x\n"},
    {"inspect", NULL, "docker inspect -f '{{.Id}}' x", 1, "\n", "Error: No such object: x\n"},
    {"ps", NULL, "docker ps -aq", 0, "", ""},
    {"unknown flag", NULL, "docker exec --x t ls", 125, "",
     "unknown flag: --x\nSee 'docker exec --help'.\n"},
    {"unknown letter", NULL, "docker exec -ix t ls", 125, "",
     "unknown shorthand flag: 'x' in -x\nSee 'docker exec --help'.\n"},
    {"flag without its value", NULL, "docker exec -u", 125, "",
     "flag needs an argument: 'u' in -u\nSee 'docker exec --help'.\n"},
    {"no command", NULL, "docker exec t", 1, "",
     "\"docker exec\" requires at least 2 arguments.\nSee 'docker exec --help'.\n\n"
     "Usage:  docker exec [OPTIONS] CONTAINER COMMAND [ARG...]\n\n"
     "Execute a command in a running container\n"},
    {"no verb", NULL, "docker foo", 1, "",
     "docker: 'foo' is not a docker command.\nSee 'docker --help'\n"},
    {"tar stream", NULL, "docker cp - x:/y", 2, "",
     "error: this fake docker copies no tar streams\n"},
    {"two hosts", NULL, "docker cp /a /b", 1, "", "must specify at least one container source\n"},
    {"foreground", NULL, "docker run x", 2, "",
     "error: this fake docker runs containers with -d alone\n"},
    {"reply to start", NULL, "KILLPOINT_FAULTS='start begin:reply=lost' docker start x", 2, "",
     "error: KILLPOINT_FAULTS: docker has replies to exec and cp alone\n"},
};

static const struct row guest_rows[] = {
    {"status of the command", NULL, "docker exec t sh -c 'echo a; echo b >&2; exit 7'", 7, "a\n",
     "b\n"},
    {"killed command", NULL, "docker exec t sh -c 'kill -9 $$'", 137, "", ""},
    {"root, folder, environment", NULL,
     "B=2 docker exec -u 0 -w /etc -e A=1 -e B -e C t sh -c 'id -u; pwd; echo $A$B${C-no}'", 0,
     "0\n/etc\n12no\n", ""},
    {"another user", NULL, "docker exec -u www-data t id", 2, "",
     "error: this fake docker runs commands as root alone\n"},
    {"stdin with -i alone", NULL, "echo hi | docker exec -i t cat; echo no | docker exec t cat", 0,
     "hi\n", ""},
    {"no such program", NULL, "docker exec t nope", 127,
     RUNC "exec: \"nope\": executable file not found in $PATH: unknown\r\n", ""},
    {"no program", NULL, "docker exec t /etc/passwd", 126,
     RUNC "exec: \"/etc/passwd\": permission denied: unknown\r\n", ""},
    {"no folder", NULL, "docker exec -w /nope t ls", 127,
     RUNC "chdir to cwd (\"/nope\") set in config.json failed: no such file or directory: "
          "unknown\r\n",
     ""},
    {"a copy has the file's mode",
     "printf 1 >\"$KILLPOINT_STATE/f\"; "
     "chmod 640 \"$KILLPOINT_STATE/f\"",
     "docker cp --quiet=false \"$KILLPOINT_STATE/f\" t:/root && docker exec t stat -c '%a %s' "
     "/root/f",
     0, "640 1\n", "Successfully copied 2.05kB to t:/root\n"},
    {"empty file", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "docker cp --quiet=false \"$KILLPOINT_STATE/e\" t:/root/e", 0, "",
     "Successfully copied 1.54kB to t:/root/e\n"},
    {"no terminal, no words", NULL, "docker cp \"$KILLPOINT_STATE/e\" t:/root/e", 0, "", ""},
    {"another signal", NULL, "docker kill -s TERM t", 2, "",
     "error: this fake docker kills by SIGKILL alone\n"},
    {"a name that is taken", NULL,
     "docker run -d --name t debian:bookworm-mini 2>&1 | sed 's/[0-9a-f]\\{64\\}/ID/'", 0,
     "docker: Error response from daemon: Conflict. The container name \"/t\" is already in use by "
     "container \"ID\". You have to remove (or rename) that container to be able to reuse that "
     "name.\nSee 'docker run --help'.\n",
     ""},
    {"a link is followed",
     "printf 2 >\"$KILLPOINT_STATE/f\"; "
     "docker exec t ln -s b /root/a",
     "docker cp -q \"$KILLPOINT_STATE/f\" t:/root/a && docker exec t cat /root/b", 0, "2", ""},
    {"back", "docker exec t sh -c 'printf 3 >/root/c'",
     "cd \"$KILLPOINT_STATE\" && docker cp -q t:/root/c . && cat c", 0, "3", ""},
    {"no parent", NULL, "docker cp /etc/passwd t:/a/b/c", 1, "",
     "Error response from daemon: Could not find the file /a/b/c in container t\n"},
    {"nothing to fetch", NULL,
     "docker cp t:/nope \"$KILLPOINT_STATE/n\"; "
     "test ! -e \"$KILLPOINT_STATE/n\"",
     0, "", "Error response from daemon: Could not find the file /nope in container t\n"},
    {"no host file", NULL, "docker cp /nope t:/x", 1, "",
     "lstat /nope: no such file or directory\n"},
    {"running", NULL, "docker inspect -f '{{.State.Running}}' t", 0, "true\n", ""},
    {"an id's beginning", NULL,
     "docker exec $(docker ps -q) echo a; docker inspect -f '{{.Name}}' $(docker ps -q)", 0,
     "a\n/t\n", ""},
    {"not inspected", NULL, "docker inspect -f '{{.Image}}' t", 2, "",
     "error: this fake docker knows -f {{.State.Running}}, {{.State.Status}}, {{.Id}} and "
     "{{.Name}} alone\n"},
    {"rm of a running one", NULL, "docker rm t", 1, "",
     "Error response from daemon: cannot remove container \"/t\": container is running: stop the "
     "container before removing or force remove\n"},
    {"killed by a rule", NULL, "KILLPOINT_FAULTS='exec begin' docker exec t echo a", 137, "", ""},
    {"lost reply", NULL, "KILLPOINT_FAULTS='exec end:reply=lost' docker exec t echo a", 255, "a\n",
     ""},
    {"no such reply", NULL, "KILLPOINT_FAULTS='exec begin:reply=late' docker exec t echo a", 125,
     "", "error: docker has no reply 'late' to exec\n"},
    {"daemon away", NULL,
     "KILLPOINT_FAULTS='cp begin:reply=unreachable' docker cp /etc/passwd t:/x", 1, "",
     "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon "
     "running?\n"},
    {"init's death takes the exec along", NULL,
     "KILLPOINT_FAULTS='exec at:ms=100:scope=init' docker exec t sleep 20", 137, "", ""},
    {"and the container is over with it", NULL,
     "docker exec t true 2>&1 | sed 's/[0-9a-f]\\{64\\}/ID/'", 0,
     "Error response from daemon: container ID is not running\n", ""},
};

static void without_a_container(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof unknown_rows / sizeof *unknown_rows; i++)
        check_row(&unknown_rows[i]);
}

static void in_a_running_container(void **state)
{
    (void)state;
    struct run done = run_sh("docker run -d --name t debian:%s sleep infinity", some_layout());
    check_success(&done);
    assert_int_equal(strlen(done.out), 65);
    run_release(&done);
    for (size_t i = 0; i < sizeof guest_rows / sizeof *guest_rows; i++)
        check_row(&guest_rows[i]);
}

static void from_create_to_rm(void **state)
{
    (void)state;
    struct run done = run_sh("docker create --name t %s", some_layout());
    check_success(&done);
    run_release(&done);
    check_out("created\nt\nt\nexited\n",
              "docker inspect -f '{{.State.Status}}' t; docker start t; docker stop t; "
              "docker inspect -f '{{.State.Status}}' t");
    check_out("Error response from daemon: container ID is not running\n1\n",
              "docker exec t ls 2>&1 | sed 's/[0-9a-f]\\{64\\}/ID/'; docker exec t ls 2>/dev/null; "
              "echo $?");
    check_out("t\n", "docker rm t");
    check_out("", "docker ps -aq");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_a_container),
        TEST(in_a_running_container),
        TEST(from_create_to_rm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
