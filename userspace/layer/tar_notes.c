/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_notes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "layer/beneath.h"

#define NOTES_SHOWN 3

void tar_notes_add(struct tar_notes *n, const char *path, const char *format, ...)
{
	char shown[BENEATH_SHOWN_SIZE], note[384];
	size_t used = strlen(n->text), length = 0;
	va_list args;

	if (n->count++ >= NOTES_SHOWN)
		return;
	if (path)
		length = (size_t)snprintf(note, sizeof(note), "%s: ", beneath_show(path, shown));
	va_start(args, format);
	(void)vsnprintf(note + length, sizeof(note) - length, format, args);
	va_end(args);
	/* The text is cut when it is too long; the number stays right. */
	(void)snprintf(n->text + used, sizeof(n->text) - used, "%s%s", used > 0 ? "; " : "", note);
}
