/*
 * report_cmd.h: `killpoint report` draws reports from results files; `killpoint merge` puts the
 * results of all shards of one run together.
 */
#ifndef KILLPOINT_REPORT_CMD_H
#define KILLPOINT_REPORT_CMD_H

/* Exit status: 0; 2 wrong usage, or a file that is none of results; 3 a report cannot be written.
 */
int report_cmd(int argc, char **argv);

/* Exit status: as `run`; 5 the files are not one whole run. */
int merge_cmd(int argc, char **argv);

#endif
