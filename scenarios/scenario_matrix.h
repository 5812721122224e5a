/*
 * scenario_matrix.h: the combinations of a scenario's matrix.
 *
 * The names become the variables of a view (schema.h), and their values are those of one
 * combination. Without a matrix there is one combination, of nothing.
 */
#ifndef KILLPOINT_SCENARIO_MATRIX_H
#define KILLPOINT_SCENARIO_MATRIX_H

#include "schema.h"

#define SCENARIO_COMBINATIONS_MAX 1000

struct scenario_matrix {
    struct schema_vars vars;
    size_t combinations; /* at least 1 */
    const struct node **names;
    const struct node **lists; /* of each name's values */
};

/*
 * Reads the key `matrix` of root. Names whose values are wrong in themselves are left out,
 * validate_tree() tells them. Adds diagnostics for more combinations than there may be
 * (then the first alone is there) and for two values that look the same in an id.
 * Everything lives in pool and in root's.
 */
void scenario_matrix_init(const char *path, const struct node *root, struct pool *pool,
                          struct diags *diags, struct scenario_matrix *ret_matrix);

/* Gives the variables the values of the index-th combination; the first name is slowest. */
void scenario_matrix_select(struct scenario_matrix *matrix, size_t index);

/* base_id with the values selected: "kill/at-times[ms=50,call=exec]", see trial.h. */
const char *scenario_matrix_id(const struct scenario_matrix *matrix, const char *base_id,
                               struct pool *pool);

/*
 * Adds a diagnostic for each name that nothing used while the trees of all combinations
 * were read. clean says that they had no mistake; else a name that stands anywhere in root
 * is given the benefit of the doubt, for what is wrong is not read.
 */
void scenario_matrix_check_used(const struct scenario_matrix *matrix, const char *path,
                                const struct node *root, bool clean, struct diags *diags);

#endif
