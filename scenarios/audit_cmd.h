/*
 * audit_cmd.h: the verb `killpoint audit`.
 */
#ifndef KILLPOINT_AUDIT_CMD_H
#define KILLPOINT_AUDIT_CMD_H

/*
 * killpoint audit --root DIR [--ca FILE [--ca-key FILE]] [--ca-path PATH] [--bundle PATH] [--json]
 * argv[0] is not looked at. Prints the table, or one JSON object, on stdout; errors are one
 * line on stderr. Returns the exit status: 0 nothing failed, 1 something did, 2 wrong usage
 * or a root that cannot be audited, 3 the audit itself broke.
 */
int audit_cmd(int argc, char **argv);

#endif
