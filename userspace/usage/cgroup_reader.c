/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/cgroup_reader.h"

#include <stdbool.h>
#include <string.h>

#include "base/visible_text.h"

#define CONTAINER_ID_LENGTH 64

/* One name of a path. */
struct part {
	const char *name;
	size_t length;
};

static bool next_part(const char **at, struct part *ret_part)
{
	*at += strspn(*at, "/");
	ret_part->name = *at;
	ret_part->length = strcspn(*at, "/");
	*at += ret_part->length;
	return ret_part->length > 0;
}

static bool is(const struct part *p, const char *name)
{
	return p->length == strlen(name) && memcmp(p->name, name, p->length) == 0;
}

static bool starts_with(const struct part *p, const char *start)
{
	return p->length > strlen(start) && memcmp(p->name, start, strlen(start)) == 0;
}

static bool ends_with(const struct part *p, const char *end)
{
	size_t length = strlen(end);

	return p->length > length && memcmp(p->name + p->length - length, end, length) == 0;
}

static struct part cut(const struct part *p, size_t start, size_t end)
{
	return (struct part){ p->name + start, p->length - start - end };
}

static bool is_container_id(const struct part *p)
{
	return p->length == CONTAINER_ID_LENGTH &&
	       strspn(p->name, "0123456789abcdef") >= CONTAINER_ID_LENGTH;
}

/* "RUNTIME-ID.scope", as runtimes name the units of containers. */
static const char *scope_runtime(const struct part *p, struct part *ret_id)
{
	static const char *const scopes[][2] = {
		{ "docker-", "docker" }, { "cri-containerd-", "containerd" }, { "crio-", "crio" },
		{ "libpod-", "podman" }, { "nerdctl-", "nerdctl" },
	};

	for (size_t i = 0; ends_with(p, ".scope") && i < ARRAY_SIZE(scopes); i++) {
		if (!starts_with(p, scopes[i][0]))
			continue;
		*ret_id = cut(p, strlen(scopes[i][0]), strlen(".scope"));
		return is_container_id(ret_id) ? scopes[i][1] : NULL;
	}
	return NULL;
}

/* What has been found on the way from the root. */
struct found {
	struct part unit, pod, before;
	bool in_kubernetes;
};

/* "podUID", or "kubepods-burstable-podUID.slice". */
static void find_pod(struct found *f, const struct part *p)
{
	static const char mark[] = "-pod";
	const char *at;

	if (starts_with(p, "pod")) {
		f->pod = cut(p, strlen("pod"), 0);
		return;
	}
	at = ends_with(p, ".slice") ? memmem(p->name, p->length, mark, strlen(mark)) : NULL;
	if (at)
		f->pod = cut(p, (size_t)(at - p->name) + strlen(mark), strlen(".slice"));
}

/* A container, by its own cgroup; NULL: it is not one. */
static const char *find_container(const struct found *f, const struct part *p, struct part *ret_id)
{
	const char *runtime = scope_runtime(p, ret_id);

	if (runtime)
		return f->pod.length ? "kubernetes" : runtime;
	*ret_id = *p;
	if (is(&f->before, "buildkit"))
		return "buildkit";
	if (!is_container_id(p))
		return NULL;
	if (f->pod.length)
		return "kubernetes";
	return is(&f->before, "docker") ? "docker" : "container";
}

static void append_pod(struct strbuf *b, const struct part *pod)
{
	/* systemd's names have underscores where the uid has hyphens. */
	for (size_t i = 0; i < pod->length; i++)
		strbuf_append_bytes(b, pod->name[i] == '_' ? "-" : pod->name + i, 1);
}

/* A container of a user's manager is told from those of the host by the unit that it is in. */
static void append_container(struct strbuf *b, const struct found *f, const char *runtime,
			     const struct part *id)
{
	strbuf_appendf(b, "%s:", runtime);
	if (ends_with(&f->unit, ".service"))
		strbuf_appendf(b, "%.*s/", (int)f->unit.length, f->unit.name);
	if (f->pod.length) {
		append_pod(b, &f->pod);
		strbuf_append(b, "/");
	}
	strbuf_append_bytes(b, id->name, id->length);
}

static void append_other(struct strbuf *b, const struct found *f, const char *path)
{
	struct part p;

	if (f->pod.length) {
		strbuf_append(b, "kubernetes:");
		append_pod(b, &f->pod);
	} else if (f->unit.length) {
		strbuf_appendf(b, "unit:%.*s", (int)f->unit.length, f->unit.name);
	} else {
		strbuf_append(b, "cgroup:/");
		if (next_part(&path, &p))
			strbuf_append_bytes(b, p.name, p.length);
		if (next_part(&path, &p))
			strbuf_appendf(b, "/%.*s", (int)p.length, p.name);
	}
}

static void append_reader(struct strbuf *b, const char *path)
{
	struct found found = { .unit = { .name = "" }, .pod = { "", 0 }, .before = { "", 0 } };
	const char *at = path, *runtime;
	struct part p, id;

	while (next_part(&at, &p)) {
		runtime = find_container(&found, &p, &id);
		if (runtime) {
			append_container(b, &found, runtime, &id);
			return;
		}
		found.in_kubernetes |= starts_with(&p, "kubepods") || is(&p, "kubepods") ||
				       starts_with(&p, "kubelet-kubepods");
		if (found.in_kubernetes && !found.pod.length)
			find_pod(&found, &p);
		if (!found.unit.length && (ends_with(&p, ".service") || ends_with(&p, ".scope")))
			found.unit = p;
		found.before = p;
	}
	append_other(b, &found, path);
}

char *cgroup_reader_fold(const char *path)
{
	cleanup(strbuf_free) struct strbuf reader = { 0 };
	struct strbuf visible = { 0 };

	append_reader(&reader, path);
	if (strbuf_failed(&reader))
		return NULL;
	visible_text_append(&visible, reader.text, true);
	return strbuf_take(&visible);
}
