/*
 * probe_cmd.h: `killpoint probe`, see probe.h.
 */
#ifndef KILLPOINT_PROBE_CMD_H
#define KILLPOINT_PROBE_CMD_H

/* Returns the exit status: 0 fit, 1 not, 2 wrong usage or a bad file, 3 the harness broke, 130. */
int probe_cmd(int argc, char **argv);

#endif
