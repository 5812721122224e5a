/*
 * explore_cmd.h: `killpoint explore`, every crash point of a backend's call, judged.
 */
#ifndef KILLPOINT_EXPLORE_CMD_H
#define KILLPOINT_EXPLORE_CMD_H

/*
 * Exit status: 0 no finding; 1 findings; 2 wrong usage; 3 the result is not to be trusted;
 * 130 interrupted.
 */
int explore_cmd(int argc, char **argv);

#endif
