#include "evidence.h"

#include <stdlib.h>

void evidence_release(struct evidence *evidence)
{
    for (size_t i = 0; i < evidence->n_runs; i++) {
        struct evidence_run *run = &evidence->runs[i];
        sandbox_result_release(&run->sandbox);
        free(run->machine);
        free(run->told);
        json_decref(run->calls);
        json_decref(run->rules);
        buf_release(&run->fingerprint);
        if (run->audit)
            audit_report_release(run->audit);
        free(run->audit);
    }
    for (size_t i = 0; i < evidence->n_audits; i++)
        audit_report_release(&evidence->audits[i]);
    free(evidence->runs);
    free(evidence->audits);
    *evidence = (struct evidence){.runs = NULL};
}
