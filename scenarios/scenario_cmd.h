/*
 * scenario_cmd.h: the verbs `killpoint validate` and `killpoint list`.
 */
#ifndef KILLPOINT_SCENARIO_CMD_H
#define KILLPOINT_SCENARIO_CMD_H

/*
 * killpoint validate [FILE...]
 * Checks files; without any, all of the project's. What a file is follows from its folder
 * (backends/NAME.expect.yaml, backends, layouts), else from its keys, else it is a scenario.
 * Mistakes go to stderr, each with its place. Scenarios given together must have different
 * ids; of the project's own files the expectation lists must match trials as well.
 * Returns the exit status: 0 with a line on stdout; 2 mistakes or wrong usage.
 */
int validate_cmd(int argc, char **argv);

/*
 * killpoint list [--json] [--layout L]... [--driver D] [ID-GLOB...]
 * Prints the trials that are selected, an id a line, or one JSON array. Returns the exit
 * status: 0; 2 wrong usage or bad files; 4 nothing is selected.
 */
int list_cmd(int argc, char **argv);

#endif
