/*
 * The fake docker as a program: verbs, texts and exit codes, on the machines of the fake smolvm.
 * Source of the texts: docker 28, asked the same (fakes/README.md); what begins with "error: " is
 * the fake's own.
 */
#include "machine.h"

#define MISSING "Error response from daemon: No such container: x\n"
#define EXEC_USAGE(word)                                                                           \
    "\nUsage:  docker exec [OPTIONS] CONTAINER COMMAND [ARG...]\n\n" word                          \
    " 'docker exec --help' for more information\n"
#define RUNC "OCI runtime exec failed: exec failed: unable to start container process: "

static const struct row unknown_rows[] = {
    {"exec", NULL, "docker exec x ls", 1, "", MISSING},
    {"cp", NULL, "docker cp /etc/hostname x:/y", 1, "", MISSING},
    {"stop", NULL, "docker stop x", 1, "", MISSING},
    {"kill", NULL, "docker kill x", 1, "",
     "Error response from daemon: cannot kill container: x: No such container: x\n"},
    {"rm", NULL, "docker rm x", 1, "", MISSING},
    {"rm -f is content", NULL, "docker rm -f x", 0, "", MISSING},
    {"start", NULL, "docker start x", 1, "", MISSING "Error: failed to start containers: x\n"},
    {"inspect", NULL, "docker inspect -f '{{.Id}}' x", 1, "\n", "Error: No such object: x\n"},
    {"ps", NULL, "docker ps -aq", 0, "", ""},
    {"unknown flag", NULL, "docker exec --x tt ls", 125, "",
     "unknown flag: --x\n" EXEC_USAGE("Run")},
    {"unknown letter", NULL, "docker exec -ix tt ls", 125, "",
     "unknown shorthand flag: 'x' in -x\n" EXEC_USAGE("Run")},
    {"flag without its value", NULL, "docker exec -u", 125, "",
     "flag needs an argument: 'u' in -u\n" EXEC_USAGE("Run")},
    {"no command", NULL, "docker exec tt", 1, "",
     "docker: 'docker exec' requires at least 2 arguments\n" EXEC_USAGE("See")},
    {"too many", NULL, "docker ps foo", 1, "",
     "docker: 'docker ps' accepts no arguments\n\nUsage:  docker ps [OPTIONS]\n\n"
     "Run 'docker ps --help' for more information\n"},
    {"an older flag", NULL, "docker stop --time 3 x", 1, "",
     "Flag --time has been deprecated, use --timeout instead\n" MISSING},
    {"a short name", NULL, "docker create --name t debian:x sleep 1", 1, "",
     "Error response from daemon: Invalid container name (t), only [a-zA-Z0-9][a-zA-Z0-9_.-] are "
     "allowed\n"},
    {"no verb", NULL, "docker foo", 1, "",
     "docker: unknown command: docker foo\n\nRun 'docker --help' for more information\n"},
    {"a flag without a verb", NULL, "docker --nope=1 exec x true", 125, "",
     "unknown flag: --nope\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n\nRun 'docker --help' for "
     "more information\n"},
    {"a letter without a verb", NULL, "docker -z", 125, "",
     "unknown shorthand flag: 'z' in -z\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n\nRun "
     "'docker "
     "--help' for more information\n"},
    {"its version", NULL, "docker --version && docker -v", 0,
     "Docker version 28.2.2, build e6534b4\nDocker version 28.2.2, build e6534b4\n", ""},
    {"a flag that is not built", NULL, "docker exec -d x true", 2, "",
     "error: this fake docker has no `exec --detach`\n"},
    {"a word that is not built", NULL, "docker ps --filter name=x", 2, "",
     "error: this fake docker has no `ps --filter`\n"},
    {"tar stream", NULL, "docker cp - x:/y", 2, "",
     "error: this fake docker copies no tar streams\n"},
    {"two hosts", NULL, "docker cp /a /b", 1, "", "must specify at least one container source\n"},
    {"foreground", NULL, "docker run x", 2, "",
     "error: this fake docker runs containers with -d alone\n"},
    {"reply to start", NULL, "KILLPOINT_FAULTS='start begin:reply=lost' docker start x", 2, "",
     "error: KILLPOINT_FAULTS: docker has replies to exec and cp alone\n"},
};

static const struct row guest_rows[] = {
    {"status of the command", NULL, "docker exec tt sh -c 'echo a; echo b >&2; exit 7'", 7, "a\n",
     "b\n"},
    {"killed command", NULL, "docker exec tt sh -c 'kill -9 $$'", 137, "", ""},
    {"root, folder, environment", NULL,
     "B=2 docker exec -u 0 -w /etc -e A=1 -e B -e C tt sh -c 'id -u; pwd; echo $A$B${C-no}'", 0,
     "0\n/etc\n12no\n", ""},
    {"a user by name", NULL, "docker exec -u www-data tt sh -c 'id; echo $HOME'", 0,
     "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n/var/www\n", ""},
    {"a number that nobody has", NULL, "docker exec -u 12345 tt sh -c 'id; echo $HOME'", 0,
     "uid=12345 gid=0(root) groups=0(root)\n/\n", ""},
    {"two numbers", NULL, "docker exec -u 12345:55 tt id", 0, "uid=12345 gid=55 groups=55\n", ""},
    {"another group", NULL, "docker exec -u www-data:root tt id", 0,
     "uid=33(www-data) gid=0(root) groups=0(root)\n", ""},
    {"a user may not do what root may", NULL, "docker exec -u www-data tt sh -c ': >/root/x'", 2,
     "", "sh: 1: cannot create /root/x: Permission denied\n"},
    {"no such user", NULL, "docker exec -u nobodyx tt id", 1, "",
     "Error response from daemon: unable to find user nobodyx: no matching entries in passwd "
     "file\n"},
    {"no such group", NULL, "docker exec -u www-data:nogrp tt id", 1, "",
     "Error response from daemon: unable to find group nogrp: no matching entries in group file\n"},
    {"no such number", NULL, "docker exec -u 99999999999 tt id", 1, "",
     "Error response from daemon: uids and gids must be in range 0-2147483647\n"},
    {"stdin with -i alone", NULL, "echo hi | docker exec -i tt cat; echo no | docker exec tt cat",
     0, "hi\n", ""},
    {"no such program", NULL, "docker exec tt nope", 127,
     RUNC "exec: \"nope\": executable file not found in $PATH\r\n", ""},
    {"no program", NULL, "docker exec tt /etc/passwd", 126,
     RUNC "exec: \"/etc/passwd\": permission denied\r\n", ""},
    {"no folder", NULL, "docker exec -w /nope tt ls", 127,
     RUNC "chdir to cwd (\"/nope\") set in config.json failed: no such file or directory\r\n", ""},
    {"a copy has the file's mode",
     "printf 1 >\"$KILLPOINT_STATE/f\"; "
     "chmod 640 \"$KILLPOINT_STATE/f\"",
     "docker cp --quiet=false \"$KILLPOINT_STATE/f\" tt:/root && docker exec tt stat -c '%a %s' "
     "/root/f",
     0, "640 1\n", "Successfully copied 2.05kB to tt:/root\n"},
    {"empty file", "cp /dev/null \"$KILLPOINT_STATE/e\"",
     "docker cp --quiet=false \"$KILLPOINT_STATE/e\" tt:/root/e", 0, "",
     "Successfully copied 1.54kB to tt:/root/e\n"},
    {"no terminal, no words", NULL, "docker cp \"$KILLPOINT_STATE/e\" tt:/root/e", 0, "", ""},
    {"another signal", NULL, "docker kill -s TERM tt", 2, "",
     "error: this fake docker kills by SIGKILL alone\n"},
    {"a name that is taken", NULL,
     "docker run -d --name tt debian:bookworm-mini 2>&1 | sed 's/[0-9a-f]\\{64\\}/ID/'", 0,
     "docker: Error response from daemon: Conflict. The container name \"/tt\" is already in use "
     "by "
     "container \"ID\". You have to remove (or rename) that container to be able to reuse that "
     "name.\n\nRun 'docker run --help' for more information\n",
     ""},
    {"a link is followed",
     "printf 2 >\"$KILLPOINT_STATE/f\"; "
     "docker exec tt ln -s b /root/a",
     "docker cp -q \"$KILLPOINT_STATE/f\" tt:/root/a && docker exec tt cat /root/b", 0, "2", ""},
    {"back", "docker exec tt sh -c 'printf 3 >/root/c'",
     "cd \"$KILLPOINT_STATE\" && docker cp -q tt:/root/c . && cat c", 0, "3", ""},
    {"no parent", NULL, "docker cp /etc/passwd tt:/a/b/c", 1, "",
     "Error response from daemon: Could not find the file /a/b in container tt\n"},
    {"nothing to fetch", NULL,
     "docker cp tt:/nope \"$KILLPOINT_STATE/n\"; "
     "test ! -e \"$KILLPOINT_STATE/n\"",
     0, "", "Error response from daemon: Could not find the file /nope in container tt\n"},
    {"what is there stays", "printf kept >\"$KILLPOINT_STATE/n\"",
     "docker cp tt:/nope \"$KILLPOINT_STATE/n\"; cat \"$KILLPOINT_STATE/n\"", 0, "kept",
     "Error response from daemon: Could not find the file /nope in container tt\n"},
    {"and is cut to what comes", "printf 123456 >\"$KILLPOINT_STATE/n\"",
     "docker cp tt:/root/c \"$KILLPOINT_STATE/n\"; cat \"$KILLPOINT_STATE/n\"", 0, "3", ""},
    {"no host file", NULL, "docker cp /nope tt:/x", 1, "",
     "lstat //nope: no such file or directory\n"},
    {"no host file beside", NULL, "cd /usr/bin && docker cp ./nope tt:/x", 1, "",
     "lstat /usr/bin/nope: no such file or directory\n"},
    {"a file for a folder", NULL, "docker cp /etc/passwd tt:/etc/passwd/x", 1, "",
     "Error response from daemon: extraction point is not a directory\n"},
    {"no host folder", NULL, "docker cp tt:/etc/passwd /nope/x", 1, "",
     "invalid output path: directory \"/nope\" does not exist\n"},
    {"no host folder by its slash", NULL, "docker cp tt:/etc/passwd /nope/", 1, "",
     "no such directory\n"},
    {"running", NULL, "docker inspect -f '{{.State.Running}}' tt", 0, "true\n", ""},
    {"an id's beginning", NULL,
     "docker exec $(docker ps -q) echo a; docker inspect -f '{{.Name}}' $(docker ps -q)", 0,
     "a\n/tt\n", ""},
    {"not inspected", NULL, "docker inspect -f '{{.Image}}' tt", 2, "",
     "error: this fake docker knows -f {{.State.Running}}, {{.State.Status}}, "
     "{{.State.ExitCode}}, {{.Id}} and {{.Name}} alone\n"},
    {"rm of a running one", NULL, "docker rm tt", 1, "",
     "Error response from daemon: cannot remove container \"tt\": container is running: stop the "
     "container before removing or force remove\n"},
    {"killed by a rule", NULL, "KILLPOINT_FAULTS='exec begin' docker exec tt echo a", 137, "", ""},
    {"lost before it began", NULL, "KILLPOINT_FAULTS='exec begin:reply=lost' docker exec tt echo a",
     1, "", "unexpected EOF\n"},
    {"not a program's format", "docker exec tt sh -c 'echo a >/root/s; chmod 755 /root/s'",
     "docker exec tt /root/s", 255, "", "exec /root/s: exec format error\n"},
    {"a file as a folder", NULL, "docker exec -w /etc/passwd tt ls", 127,
     RUNC
     "chdir to cwd (\"/etc/passwd\") set in config.json failed: not a directory: Are you trying "
     "to mount a directory onto a file (or vice-versa)? Check if the specified host path exists "
     "and is the expected type\r\n",
     ""},
    {"lost copy", NULL, "KILLPOINT_FAULTS='cp end:reply=lost' docker cp /etc/passwd tt:/root/x", 1,
     "",
     "error during connect: Put \"http://%2Fvar%2Frun%2Fdocker.sock/v1.50/containers/tt/archive?"
     "noOverwriteDirNonDir=true&path=%2Froot\": EOF\n"},
    {"lost reply", NULL, "KILLPOINT_FAULTS='exec end:reply=lost' docker exec tt echo a", 255, "a\n",
     ""},
    {"no such reply", NULL, "KILLPOINT_FAULTS='exec begin:reply=late' docker exec tt echo a", 125,
     "", "error: docker has no reply 'late' to this call\n"},
    {"daemon away", NULL,
     "KILLPOINT_FAULTS='cp begin:reply=unreachable' docker cp /etc/passwd tt:/x", 1, "",
     "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon "
     "running?\n"},
    {"init's death takes the exec along", NULL,
     "KILLPOINT_FAULTS='exec at:ms=100:scope=init' docker exec tt sleep 20", 137, "", ""},
    {"and the container is over with it", NULL,
     "docker exec tt true 2>&1 | sed 's/[0-9a-f]\\{64\\}/ID/'", 0,
     "Error response from daemon: container ID is not running\n", ""},
    {"which inspect and ps know", NULL,
     "docker inspect -f '{{.State.Running}}' tt; docker inspect -f '{{.State.Status}}' tt; "
     "docker inspect -f '{{.State.ExitCode}}' tt; docker ps -q; docker ps -a --format '{{.Names}}'",
     0, "false\nexited\n137\ntt\n", ""},
    {"kill has nobody to kill", NULL,
     "docker kill tt 2>&1 | sed 's/[0-9a-f]\\{64\\}/ID/'; docker stop tt", 0,
     "Error response from daemon: cannot kill container: tt: container ID is not running\ntt\n",
     ""},
    {"a copy goes on", NULL, "docker cp /etc/passwd tt:/root/x", 0, "", ""},
    {"start begins it anew", NULL,
     "docker start tt; docker exec tt test -e /root/x; docker inspect -f '{{.State.ExitCode}}' tt",
     0, "tt\n0\n", ""},
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
    struct run done = run_sh("docker run -d --name tt debian:%s sleep infinity", some_layout());
    check_success(&done);
    assert_int_equal(strlen(done.out), 65);
    run_release(&done);
    for (size_t i = 0; i < sizeof guest_rows / sizeof *guest_rows; i++)
        check_row(&guest_rows[i]);
}

static void from_create_to_rm(void **state)
{
    (void)state;
    struct run done = run_sh("docker create --name tt %s", some_layout());
    check_success(&done);
    run_release(&done);
    check_out("created\ntt\ntt\nexited\n",
              "docker inspect -f '{{.State.Status}}' tt; docker start tt; docker stop tt; "
              "docker inspect -f '{{.State.Status}}' tt");
    check_out(
        "Error response from daemon: container ID is not running\n1\n",
        "docker exec tt ls 2>&1 | sed 's/[0-9a-f]\\{64\\}/ID/'; docker exec tt ls 2>/dev/null; "
        "echo $?");
    check_out("tt\n", "docker rm tt");
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
