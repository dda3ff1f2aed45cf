/* SPDX-License-Identifier: Apache-2.0 */
#include "store/change_set.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "store/statement.h"

struct change {
	struct change *next;
	const char *sql, *types;
	struct {
		char *text;
		int64_t number;
	} values[];
};

static void change_free(struct change *c)
{
	for (size_t i = 0; c->types[i]; i++)
		free(c->values[i].text);
	free(c);
}

void change_set_add(struct change_set *c, const char *sql, const char *types, ...)
{
	size_t count = strlen(types);
	struct change *change = calloc(1, sizeof(*change) + count * sizeof(change->values[0]));
	va_list args;

	assert(count <= CHANGE_VALUES_MAX);
	if (!change) {
		c->failed = true;
		return;
	}
	change->sql = sql;
	change->types = types;
	va_start(args, types);
	for (size_t i = 0; i < count; i++) {
		const char *text;

		if (types[i] == 'i') {
			change->values[i].number = va_arg(args, int64_t);
			continue;
		}
		text = va_arg(args, const char *);
		if (text && !(change->values[i].text = strdup(text)))
			c->failed = true;
	}
	va_end(args);
	if (!c->last)
		c->last = &c->first;
	*c->last = change;
	c->last = &change->next;
}

static int run_change(sqlite3 *db, const struct change *c, struct error *e)
{
	cleanup(statement_reuse) sqlite3_stmt *s = NULL;
	int code = statement_prepare(db, c->sql, &s, e);

	if (code < 0)
		return code;
	for (int i = 0; c->types[i] && code == SQLITE_OK; i++)
		code = c->types[i] == 't'
			       ? sqlite3_bind_text(s, i + 1, c->values[i].text, -1, SQLITE_STATIC)
			       : sqlite3_bind_int64(s, i + 1, c->values[i].number);
	if (code == SQLITE_OK)
		code = sqlite3_step(s);
	return code == SQLITE_DONE ? 0 : statement_error(db, code, e);
}

static int run_all(sqlite3 *db, void *arg, struct error *e)
{
	const struct change_set *set = arg;

	for (const struct change *c = set->first; c; c = c->next) {
		int code = run_change(db, c, e);

		if (code < 0)
			return code;
	}
	return 0;
}

int change_set_write(struct change_set *c, struct database *d, enum database_durability durability,
		     struct error *e)
{
	int code;

	if (c->failed)
		return error_set(e, -ENOMEM, "out of memory");
	if (!c->first)
		return 0;
	code = database_write(d, durability, run_all, c, e);
	if (code == 0)
		change_set_free(c);
	return code;
}

void change_set_free(struct change_set *c)
{
	struct change *next;

	for (struct change *change = c->first; change; change = next) {
		next = change->next;
		change_free(change);
	}
	*c = (struct change_set){ 0 };
}
