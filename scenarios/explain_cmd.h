/*
 * explain_cmd.h: the verb `killpoint explain`: what the files may say, from the tables.
 */
#ifndef KILLPOINT_EXPLAIN_CMD_H
#define KILLPOINT_EXPLAIN_CMD_H

/*
 * killpoint explain [KEY] | --json-schema KIND
 * KEY is a key of scenarios (`expect.claim`), KIND or KIND.KEY of the other files
 * (`backend.command`), or one of the topics (explain_topic.h). Without KEY: all of them.
 * KIND is scenario, backend, layout or expectations. Returns the exit status: 0; 2 for wrong
 * usage or a key that there is not.
 */
int explain_cmd(int argc, char **argv);

#endif
