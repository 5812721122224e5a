/*
 * report_text.h: what others wrote, made fit to stand in a report.
 *
 * Texts come from results files: UTF-8, but else any characters, some of them from a hostile
 * backend. Each function appends; nothing that it appends can end the place it stands in.
 */
#ifndef KILLPOINT_REPORT_TEXT_H
#define KILLPOINT_REPORT_TEXT_H

#include "../fault/io.h"

/* Only what XML 1.0 allows: U+FFFD for the rest. Newlines and tabs stay. */
void report_add_clean(struct buf *text, const char *words);

/*
 * One line, and not a screenful: of what is longer the start and the end, where the last words
 * of a program stand. folder, the trial's, which no two runs share, is written as TRIAL; "": none.
 */
void report_add_short(struct buf *text, const char *words, const char *folder);

/* Between HTML tags, or in a quoted attribute. */
void report_add_html(struct buf *text, const char *words);

/* In a Markdown paragraph or table cell: as it is, whatever it holds. On one line. */
void report_add_markdown(struct buf *text, const char *words);

/* In a workflow command of GitHub or Gitea: as its message, or as one of its properties. */
void report_add_message(struct buf *text, const char *words);
void report_add_property(struct buf *text, const char *words);

/* As a word of a shell, quoted where it has to be; what is no UTF-8 in ASCII. */
void report_add_word(struct buf *text, const char *word);

#endif
