/*
 * agent.h: the guest's side of a copy, smolvm's or docker's.
 *
 * agent_run() works in a process inside the guest, so that symbolic links, mounts and a
 * full disk are the guest's, and rules on `cp` find a process to stop. An upload goes to
 * NAME.smolvm-upload.1.COUNTER in the target's folder, then is renamed over the target:
 * the target is old or complete, never half. Missing parents are made, 0755; the result
 * is 0644 root:root whatever was there before.
 * Source: smolvm 0.8.0, agent main.rs:1989, 2231, 2390.
 *
 * docker writes to the name itself: what lies there is removed first, and a copy that is cut off
 * leaves half a file. A link that lies there is followed once. The parent must be there; owner and
 * mode are the host file's. In a folder the host file's name is taken.
 * Source: docker/cli cli/command/container/cp.go; moby pkg/archive, copy.go and archive.go.
 */
#ifndef KILLPOINT_AGENT_H
#define KILLPOINT_AGENT_H

#include "../fault/io.h"

#define AGENT_SINGLE_SHOT_BYTES (1u << 20) /* larger uploads are synced before the rename */

struct agent_job {
    bool upload;
    const char *guest_path; /* absolute, without . and .. parts */
    int host_fd;            /* read by an upload, written by a download */
    unsigned counter;       /* of the temporary's name */
    const char *docker;     /* NULL: smolvm's copy; else the host file's own name, or "" */
};

struct agent_result {
    uint64_t size_bytes;
    int errnum;     /* 0: done */
    char text[400]; /* what smolvm's agent says: "write file: …"; docker: the path */
};

void agent_run(const struct agent_job *job, struct agent_result *ret_result);

#endif
