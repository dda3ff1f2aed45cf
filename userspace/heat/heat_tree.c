/* SPDX-License-Identifier: Apache-2.0 */
#include "heat/heat_tree.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define FOLDERS_MAX 20000

struct heat_tree {
	struct heat_folder root;
	struct heat_folder *path[HEAT_TREE_DEPTH_MAX + 1]; /* to the file that was added last */
	unsigned path_length; /* without the root, which is first */
	unsigned depth;
	size_t folders;
	int64_t now_ns;
};

struct heat_tree *heat_tree_new(unsigned depth, int64_t now_ns)
{
	struct heat_tree *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->depth = depth < HEAT_TREE_DEPTH_MAX ? depth : HEAT_TREE_DEPTH_MAX;
	t->now_ns = now_ns;
	t->path[0] = &t->root;
	t->root.name = strdup("");
	if (!t->root.name) {
		free(t);
		return NULL;
	}
	return t;
}

const struct heat_folder *heat_tree_root(const struct heat_tree *t)
{
	return &t->root;
}

static struct heat_folder *add_folder(struct heat_tree *t, struct heat_folder *parent,
				      const char *name, size_t length)
{
	struct heat_folder *f = calloc(1, sizeof(*f));

	if (f)
		f->name = strndup(name, length);
	if (!f || !f->name) {
		free(f);
		return NULL;
	}
	f->parent = parent;
	f->next = parent->first_child;
	parent->first_child = f;
	parent->child_count++;
	t->folders++;
	return f;
}

static bool is_named(const struct heat_folder *f, const char *name, size_t length)
{
	return strncmp(f->name, name, length) == 0 && f->name[length] == '\0';
}

static void count(struct heat_folder *f, int64_t bytes, int64_t last_read_ns, enum heat_age age)
{
	f->bytes[age] += bytes;
	f->files++;
	/* What is not known is less than any time that is. */
	if (last_read_ns > f->last_read_ns || f->files == 1)
		f->last_read_ns = last_read_ns;
	else if (last_read_ns == HEAT_NOT_KNOWN && f->last_read_ns == 0)
		f->last_read_ns = HEAT_NOT_KNOWN;
}

/* The part of the path on this level, as a folder: that of the file before, or a new one. -ENOSPC:
 * the tree is full; -ENOMEM. */
static int enter(struct heat_tree *t, unsigned level, const char *name, size_t length)
{
	struct heat_folder *f;

	if (level < t->path_length && is_named(t->path[level + 1], name, length))
		return 0;
	if (t->folders >= FOLDERS_MAX)
		return -ENOSPC;
	f = add_folder(t, t->path[level], name, length);
	if (!f)
		return -ENOMEM;
	t->path[level + 1] = f;
	t->path_length = level + 1;
	return 0;
}

int heat_tree_add(struct heat_tree *t, const char *path, int64_t size_bytes, int64_t last_read_ns,
		  int64_t big_bytes)
{
	enum heat_age age = heat_age_of(last_read_ns, t->now_ns);
	int64_t bytes = size_bytes > 0 ? size_bytes : 0;
	unsigned level = 0;
	const char *slash;

	while (*path == '/')
		path++;
	for (; level < t->depth && (slash = strchr(path, '/')); level++) {
		int code = enter(t, level, path, (size_t)(slash - path));

		if (code == -ENOMEM)
			return code;
		if (code < 0)
			break;
		path = slash + 1 + strspn(slash + 1, "/");
	}
	if (t->path_length > level)
		t->path_length = level;
	for (unsigned i = 0; i <= level; i++)
		count(t->path[i], bytes, last_read_ns, age);
	if (bytes < big_bytes || bytes == 0 || t->folders >= FOLDERS_MAX) {
		t->path[level]->own_bytes[age] += bytes;
		return 0;
	}
	struct heat_folder *file = add_folder(t, t->path[level], path, strlen(path));

	if (!file)
		return -ENOMEM;
	count(file, bytes, last_read_ns, age);
	file->own_bytes[age] += bytes;
	return 0;
}

static void free_children(struct heat_folder *f)
{
	while (f->first_child) {
		struct heat_folder *child = f->first_child;

		f->first_child = child->next;
		free_children(child);
		free(child->name);
		free(child);
	}
}

void heat_tree_free(struct heat_tree *t)
{
	free_children(&t->root);
	free(t->root.name);
	free(t);
}
