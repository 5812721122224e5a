/*
 * report_html.h: one file to read in a browser, with nothing outside of it.
 *
 * Trials against backends, a column for each run; for each exploration its crash points in their
 * order. Everything can be read without scripts: what a cell links to is a <details> further down.
 * The script only shows it beside the cell instead. The page allows no other script: whatever a
 * backend wrote, it cannot run.
 */
#ifndef KILLPOINT_REPORT_HTML_H
#define KILLPOINT_REPORT_HTML_H

#include "report_items.h"

void report_print_html(FILE *file, const struct results *results);

/* report_timeline.c: the part of one exploration, the index-th on the page. */
void report_print_timeline(FILE *file, const struct explored *explored, size_t index);

/* Shared by both: a text, escaped; a <dt> and its <dd>, left out when there are no words; and
 * the style and the script of the page (report_page.c). */
void report_put(FILE *file, const char *words);
void report_put_pair(FILE *file, const char *title, const char *element, const char *words);
extern const char report_page_style[], report_page_script[];

#endif
