/*
 * rule_parse.h: the grammar of rules. A rule says what goes wrong: where, and what is done.
 *
 *   RULE   = [CALL["#"N] " "]WHERE(":"KEY"="VALUE)...
 *
 * CALL is one of the backend's calls on this machine. Without CALL, or as `exec` without
 * #N, the rule holds in every exec; N counts from 1.
 *   start cp exec stop
 *
 * WHERE is the place in that call:
 *   OP[,OP]...  a state-changing call of the guest's processes, by operation: open write
 *               truncate rename link symlink unlink mkdir rmdir mknod chmod chown utime
 *               xattr sync. A kernel call's name (renameat2) reads as its operation.
 *   begin       before the call's command; with scope=process the first stop of every
 *               process that is forked or executed
 *   end         the command has ended, its status is not yet told
 *   at          a time: ms= is needed
 *   spawn       just after a fork, in the parent
 *   exit        at the entry of exit_group
 *   pipewrite   a write to a pipe or a socket
 *
 * KEY, each at most once:
 *   ms=N        at: milliseconds, 0 to 86400000
 *   since=exec|start   at: counted from when the call began (default), or from when the
 *               machine started
 *   path=GLOB   operations: the path as addresses have it: absolute in the guest, symlinked
 *               parents resolved; for rename the source. Default: any. As in a shell, `*`,
 *               `?` and `[...]` never match a `/` but do match a leading dot; `\` quotes.
 *               spawn, exit, pipewrite, begin of processes: which process, as addresses
 *               have it: `/` the command itself, `/2/1` the first child of its second.
 *   comm=NAME   operations, spawn, exit, pipewrite, begin of processes: the process's name
 *               as /proc has it, the whole of it, so at most 15 bytes; it may be empty, as
 *               a process can have no name. Default: any.
 *   when=F[..L][+S]    where comm= is allowed: among the attempts that WHERE, path and comm
 *               match, counted from 1 in each call: only the F-th; F to L; from F on every
 *               S-th; from F to L every S-th. `F+` is `F+1`. Default: every one (1+1).
 *   per=tree|process   with when=: attempts are counted over the call's whole tree
 *               (default), or in each process for itself
 *   timing=before|after   operations: before the call runs (default), or after it ran and
 *               before its caller goes on
 *   signal=NAME what is done: kill with this signal. Default: KILL. With scope=init or vm
 *               KILL alone, for nothing else is sure to end those.
 *   persist=BYTES  write alone, with a signal: the write is cut to BYTES and done, then the
 *               signal comes. A torn write; 0 to 2147479552.
 *   error=ERRNO what is done instead of a signal: the operation is not done and fails so.
 *               Each operation must have a call that can (op.h), and only those calls match.
 *   delay=MS    ... : the process (at begin and end: the call) is held, 1 to 86400000 ms.
 *               Not at `at`: nobody stands there.
 *   status=N    ... : begin: the command is not run; end: it has run; at: it goes on alone.
 *               The call ends with N, 0 to 255.
 *   reply=NAME  ... : as status=, but the call ends as that row of the table of replies says
 *   scope=tree|process|init|vm|client   with a signal: who gets it: all processes of the
 *               call (default), the one that stands at the place (at `at`: the command's
 *               first), the container's PID 1, the VM, or the client CLI. `end` has no
 *               process; start and stop have neither tree nor process, so theirs is named.
 *   lose=all    with scope=vm: the files go back to what they were at the last sync.
 *               Default: all are kept.
 * So at most one of signal, error, delay, status and reply. start and stop have no command:
 * their places are begin, end and at.
 *
 * In the values of path= and comm=, `%XX` (hex) is the byte XX: ':' and '%', blanks and
 * control bytes are written so; '#' and ',' may be. NUL is refused. Blanks may stand before
 * and after a rule and between CALL and WHERE. Case counts.
 *
 *   exec#1 symlink:comm=openssl:path=/etc/ssl/certs/[0-9a-f]*.0
 *   exec at:ms=120:since=start:scope=init
 *   write:path=/etc/ssl/certs/ca-certificates.crt.new:when=3:persist=4096
 *   cp#1 end:reply=lost
 *   begin
 */
#ifndef KILLPOINT_RULE_PARSE_H
#define KILLPOINT_RULE_PARSE_H

#include "rule.h"

#define RULE_TEXT_MAX 8192 /* bytes of one rule's text */

/*
 * Reads one rule. reply_names, NULL-terminated, are the names that reply= may have; NULL
 * takes any of the form [a-z][a-z0-9-]*. The text is one line, without comment.
 * Returns 0 with *ret_rule filled (release it), or -EINVAL: then *ret_column, when not
 * NULL, is the byte where the mistake stands, from 1 to the text's length + 1, and err
 * says what it is, without that number.
 */
int rule_parse(const char *text, const char *const *reply_names, struct rule *ret_rule,
               size_t *ret_column, struct err *err);

#endif
