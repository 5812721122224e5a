/*
 * replay_cmd.h: the verb `killpoint replay`, which runs just the point that a token names.
 */
#ifndef KILLPOINT_REPLAY_CMD_H
#define KILLPOINT_REPLAY_CMD_H

int replay_cmd(int argc, char **argv);

#endif
