/*
 * report_formats.h: reports for others' tools, each drawn from results alone.
 *
 * JUnit   the flavour of Jenkins and Surefire: a suite a backend and layout; FAIL and XPASS are
 *         failures; XFAIL, UNSUPPORTED and SKIP are skipped, with their reasons; CRASH, TIMEOUT,
 *         LEAK, UNRESOLVED and ERROR are errors. Entries of an expectation list that have grown
 *         old are failures of a suite of their own.
 * TAP     version 14: XFAIL is TODO, UNSUPPORTED and SKIP are SKIP, XPASS is not ok.
 * Markdown  for a job summary: what is wrong, and what is known to be.
 * annotations  workflow commands of GitHub and Gitea, at the scenario's or the list's line.
 * HTML    report_html.h
 */
#ifndef KILLPOINT_REPORT_FORMATS_H
#define KILLPOINT_REPORT_FORMATS_H

#include "report_items.h"

/* Each prints the whole report. Whether the file took it is the caller's to ask. */
void report_print_junit(FILE *file, const struct results *results);
void report_print_tap(FILE *file, const struct results *results);
void report_print_markdown(FILE *file, const struct results *results);
void report_print_annotations(FILE *file, const struct results *results);

#endif
