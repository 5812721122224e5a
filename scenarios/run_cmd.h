/*
 * run_cmd.h: the verbs `run` and `layouts` of killpoint.
 */
#ifndef KILLPOINT_RUN_CMD_H
#define KILLPOINT_RUN_CMD_H

/* argv[0] is the verb. Returns the exit status (DESIGN: 0 1 2 3 4 130). */
int run_cmd(int argc, char **argv);

/* Lists the built layouts: name, release, packages' digest, roots, title. */
int layouts_cmd(int argc, char **argv);

#endif
