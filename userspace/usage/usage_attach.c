// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_attach.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/fail_point.h"
#include "bpf/usage_shared.h"
#include "usage.skel.h"
#include "usage/usage_calls.h"
#include "usage/usage_file_buffer.h"
#include "usage/usage_hooks.h"
#include "usage/usage_owner.h"
#include "usage/usage_kernel.h"
#include "usage/usage_pins.h"

#define VERIFIER_LOG_SIZE (1 << 20)
#define TABLE_PIN "usage"
#define TABLE_PIN_NEXT "usage_next"
#define FORMER_EPOCH_PIN "upkeep_epoch"

DEFINE_CLEANUP(struct usage_skeleton *, usage_skeleton__destroy)

static void destroy_link(struct bpf_link *link)
{
	(void)bpf_link__destroy(link); /* what is pinned stays attached */
}
DEFINE_CLEANUP(struct bpf_link *, destroy_link)

/* One try to get a backend's programs into the kernel. */
struct attempt {
	const struct usage_bpf_options *options;
	enum usage_backend backend;
	const struct usage_kernel *kernel;
	bool typed_loads;
	bool sees_faults; /* what is mapped in is counted */
	bool table; /* the kernel takes iterators: the cells can be shown as a text */
	char *verifier_log;
};

/* ---- why not ---- */

static bool may_load_programs(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[2] = { 0 };
	uint32_t needed = 1U << (CAP_BPF - 32) | 1U << (CAP_PERFMON - 32);

	if (syscall(SYS_capget, &header, sets) < 0)
		return true; /* the kernel will tell */
	return (sets[1].effective & needed) == needed ||
	       (sets[0].effective & 1U << CAP_SYS_ADMIN) != 0;
}

/* The verifier's verdict is the last line of its log that is not statistics. */
static const char *verdict(char *log)
{
	const char *last = "";
	char *save = NULL;

	for (char *line = strtok_r(log, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, "processed ", 10) != 0 &&
		    strncmp(line, "verification time", 17) != 0)
			last = line;
	return last;
}

static int refuse_load(const struct attempt *attempt, int code, struct error *e)
{
	const char *kind = attempt->backend == USAGE_BACKEND_OVERLAY ? "fexit" : "tp_btf";
	const char *why = verdict(attempt->verifier_log);

	if (code == -ENOMEM)
		return error_set(e, code, "out of memory for the accounting's maps");
	if ((code == -EPERM || code == -EACCES) && !may_load_programs())
		return error_set(e, code, "no permission (CAP_BPF and CAP_PERFMON are needed)");
	return error_set(e, code, "the kernel refuses %s programs: %s%s%.200s", kind,
			 strerror(-code), *why ? ": " : "", why);
}

/* ---- maps ---- */

static void set_sizes(struct usage_skeleton *s, const struct usage_bpf_options *options)
{
	/* These can fail only after the load. */
	if (options->max_cells)
		(void)bpf_map__set_max_entries(s->maps.usage_cells, options->max_cells);
	(void)bpf_map__set_max_entries(s->maps.usage_file_events, (uint32_t)getpagesize());
}

/* Takes the size of a map that is pinned; *ret_foreign when it is not one that we could use. */
static int adopt_size(struct bpf_map *map, const char *path, bool *ret_foreign, struct error *e)
{
	cleanup(close_fd) int fd = bpf_obj_get(path);
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);

	if (fd < 0)
		return errno == ENOENT ? 0
				       : error_set(e, -errno, "open %s: %s", path, strerror(errno));
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0 || info.type != bpf_map__type(map) ||
	    info.key_size != bpf_map__key_size(map) || info.value_size != bpf_map__value_size(map))
		*ret_foreign = true;
	else
		(void)bpf_map__set_max_entries(map, info.max_entries);
	return 0;
}

static int prepare_pins(const struct usage_bpf_options *options, struct error *e)
{
	cleanup(close_fd) int no_removal = usage_pins_lock();
	int code = usage_pins_prepare(options->pin_dir, e);

	return code < 0 || !options->store ? code
					   : usage_owner_write(options->pin_dir, options->store, e);
}

/* NULL: the map is not pinned. Data that is shared has a section with the map's name. */
static const char *pin_name(const struct bpf_map *map)
{
	static const char shared[] = ".data.";
	const char *name = bpf_map__name(map);

	if (!bpf_map__is_internal(map))
		return name;
	return strncmp(name, shared, sizeof(shared) - 1) == 0 ? name + sizeof(shared) - 1 : NULL;
}

/* Pins the maps by name; libbpf takes those that are pinned already, and makes the others. */
static int set_pins(struct usage_skeleton *s, const struct usage_bpf_options *options,
		    struct error *e)
{
	const char *pin_dir = options->pin_dir;
	bool foreign = false;
	char path[PATH_MAX];
	struct bpf_map *map;

	bpf_object__for_each_map(map, s->obj)
	{
		if (!pin_name(map))
			continue;
		int code = usage_pins_path(path, pin_dir, pin_name(map), e);
		if (code == 0)
			code = adopt_size(map, path, &foreign, e);
		if (code < 0)
			return code;
		if (bpf_map__set_pin_path(map, path) < 0)
			return error_set(e, -ENOMEM, "out of memory");
	}
	/* Another layout under the same version: not to be read, so not worth keeping. */
	return foreign ? usage_pins_remove(pin_dir, e) ?: prepare_pins(options, e) : 0;
}

/* ---- generations ---- */

/* Of what decides about the programs: the object and its knobs. */
static uint64_t digest_build(const struct usage_skeleton *s)
{
	struct usage_skeleton__rodata knobs = *s->rodata;
	uint64_t digest = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
	const unsigned char *bytes;
	size_t length;

	bytes = usage_skeleton__elf_bytes(&length);
	for (size_t i = 0; i < length; i++)
		digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
	knobs.generation = knobs.generation_mark = 0;
	bytes = (const unsigned char *)&knobs;
	for (size_t i = 0; i < sizeof(knobs); i++)
		digest = (digest ^ bytes[i]) * UINT64_C(0x100000001b3);
	return digest;
}

static int open_pin(const char *pin_dir, const char *name)
{
	char path[PATH_MAX];

	if (usage_pins_path(path, pin_dir, name, NULL) < 0)
		return -1;
	return bpf_obj_get(path);
}

/* The newest generation on any CPU, 0 for none; *ret_even when it is the one on all of them. */
static uint64_t newest_generation(int map, bool *ret_even)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t zero = 0;
	uint64_t newest;

	*ret_even = false;
	if (cpus <= 0)
		return 0;
	cleanup(free_ptr) uint64_t *values = calloc((size_t)cpus, sizeof(*values));
	if (!values || map < 0 || bpf_map_lookup_elem(map, &zero, values) < 0)
		return 0;
	newest = values[0];
	*ret_even = true;
	for (int i = 1; i < cpus; i++) {
		*ret_even = *ret_even && values[i] == values[0];
		if (values[i] > newest)
			newest = values[i];
	}
	return newest;
}

/* Whether the programs that are pinned are those that we would load. */
static bool is_installed(const char *pin_dir, uint64_t digest, bool with_table)
{
	cleanup(close_fd) int builds = open_pin(pin_dir, "usage_build");
	cleanup(close_fd) int active = open_pin(pin_dir, "active_generation");
	cleanup(close_fd) int table = open_pin(pin_dir, TABLE_PIN);
	struct usage_build build = { 0 };
	uint32_t zero = 0;
	bool even;

	return builds >= 0 && active >= 0 && (table >= 0 || !with_table) &&
	       bpf_map_lookup_elem(builds, &zero, &build) == 0 && build.digest == digest &&
	       newest_generation(active, &even) == build.generation && even &&
	       usage_pins_count_links(pin_dir, build.generation) == build.link_count;
}

/*
 * Each CPU is switched by a thread that runs on it: it cannot at the same time be between the old
 * and the new program of one event, so that each event is counted by exactly one of them.
 */
static int switch_generation(int map, uint64_t generation, struct error *e)
{
	int cpus = libbpf_num_possible_cpus();
	uint32_t zero = 0;

	if (cpus <= 0)
		return error_set(e, cpus, "count the processors: %s", strerror(-cpus));

	size_t size = CPU_ALLOC_SIZE((size_t)cpus);
	cleanup(free_ptr) uint64_t *values = calloc((size_t)cpus, sizeof(*values));
	cleanup(free_ptr) cpu_set_t *before = calloc(1, size);
	cleanup(free_ptr) cpu_set_t *only = calloc(1, size);
	if (!values || !before || !only)
		return error_set(e, -ENOMEM, "out of memory");

	bool movable = sched_getaffinity(0, size, before) == 0;
	if (bpf_map_lookup_elem(map, &zero, values) < 0)
		return error_set(e, -errno, "read the active generation: %s", strerror(errno));
	for (int cpu = 0; cpu < cpus && movable; cpu++) {
		CPU_ZERO_S(size, only);
		CPU_SET_S((size_t)cpu, size, only);
		if (sched_setaffinity(0, size, only) < 0)
			continue; /* offline, or not for us: it is switched with the rest below */
		values[cpu] = generation;
		(void)bpf_map_update_elem(map, &zero, values, BPF_ANY); /* again below */
	}
	if (movable)
		(void)sched_setaffinity(0, size, before); /* what it was is allowed */
	for (int cpu = 0; cpu < cpus; cpu++)
		values[cpu] = generation;
	if (bpf_map_update_elem(map, &zero, values, BPF_ANY) < 0)
		return error_set(e, -errno, "set the active generation: %s", strerror(errno));
	return 0;
}

/* ---- attach ---- */

static int attach_and_pin(struct bpf_program *program, const char *links, struct error *e)
{
	cleanup(destroy_link) struct bpf_link *link = bpf_program__attach(program);
	char path[PATH_MAX];
	int code;

	if (!link)
		return error_set(e, -errno, "the kernel refuses to attach to %s: %s",
				 usage_hooks_name(program), strerror(errno));
	code = usage_pins_path(path, links, bpf_program__name(program), e);
	if (code < 0)
		return code;
	code = bpf_link__pin(link, path);
	if (code < 0)
		return error_set(e, code, "pin %s: %s", path, strerror(-code));
	return fail_point_error("accounting.program", e);
}

static int attach_programs(struct usage_skeleton *s, const char *links, uint32_t *ret_count,
			   struct error *e)
{
	struct bpf_program *program;
	uint32_t count = 0;

	bpf_object__for_each_program(program, s->obj)
	{
		if (!bpf_program__autoload(program) || !usage_hooks_name(program))
			continue;
		int code = attach_and_pin(program, links, e);
		if (code < 0)
			return code;
		count++;
	}
	*ret_count = count;
	return 0;
}

/* The table replaces the one of an earlier build at one stroke. */
static int pin_table(struct usage_skeleton *s, const char *pin_dir, struct error *e)
{
	union bpf_iter_link_info target = { .map = { .map_fd = (uint32_t)bpf_map__fd(
							     s->maps.usage_cells) } };
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &target,
		    .link_info_len = sizeof(target));
	char path[PATH_MAX], next[PATH_MAX];
	int code = usage_pins_path(path, pin_dir, TABLE_PIN, e);

	if (code == 0)
		code = usage_pins_path(next, pin_dir, TABLE_PIN_NEXT, e);
	if (code < 0)
		return code;
	cleanup(destroy_link) struct bpf_link *link =
		bpf_program__attach_iter(s->progs.usage_table, &options);
	if (!link)
		return error_set(e, -errno, "make the table of usage: %s", strerror(errno));
	if (unlink(next) < 0 && errno != ENOENT)
		return error_set(e, -errno, "unpin %s: %s", next, strerror(errno));
	code = bpf_link__pin(link, next);
	if (code < 0)
		return error_set(e, code, "pin %s: %s", next, strerror(-code));
	if (chmod(next, 0444) < 0 || rename(next, path) < 0)
		return error_set(e, -errno, "pin %s: %s", path, strerror(errno));
	return 0;
}

static int write_build(struct usage_skeleton *s, const struct usage_build *build, struct error *e)
{
	uint32_t zero = 0;

	if (bpf_map_update_elem(bpf_map__fd(s->maps.usage_build), &zero, build, BPF_ANY) < 0)
		return error_set(e, -errno, "note the build: %s", strerror(errno));
	return 0;
}

/* Into links of their own; on failure some of them may be attached. */
static int attach_new(struct usage_skeleton *s, const struct attempt *attempt,
		      struct usage_build *build, struct error *e)
{
	const char *pin_dir = attempt->options->pin_dir;
	char links[PATH_MAX];
	int code = usage_pins_make_links(pin_dir, build->generation, e);

	if (code < 0)
		return code;
	code = usage_pins_links_path(links, pin_dir, build->generation, e);
	if (code < 0)
		return code;
	code = attach_programs(s, links, &build->link_count, e);
	if (code < 0)
		return code;
	code = attempt->table ? pin_table(s, pin_dir, e) : 0;
	return code < 0 ? code : fail_point_error("accounting.table", e);
}

/* The new programs take over, and the old ones go, with the map that only they had. */
static int switch_to(struct usage_skeleton *s, const char *pin_dir, uint64_t generation,
		     struct error *e)
{
	int code = switch_generation(bpf_map__fd(s->maps.active_generation), generation, e);
	char former[PATH_MAX];

	fail_point("accounting.switched");
	if (code == 0)
		code = usage_pins_remove_other_links(pin_dir, generation, e);
	if (code == 0)
		code = usage_pins_path(former, pin_dir, FORMER_EPOCH_PIN, e);
	if (code == 0)
		(void)unlink(former); /* there may be none; one that stays does no harm */
	return code;
}

/* New programs are attached beside the old ones, take over, and then the old ones go. */
static int install(struct usage_skeleton *s, const struct attempt *attempt, struct error *e)
{
	const char *pin_dir = attempt->options->pin_dir;
	struct usage_build build = { .generation = s->rodata->generation };
	int code = attach_new(s, attempt, &build, e);

	if (code < 0) {
		/* What did get attached must not stay behind; the reason is in *e already. */
		(void)usage_pins_make_links(pin_dir, build.generation, NULL);
		return code;
	}
	code = write_build(s, &build, e); /* without a digest: interrupted from here on */
	fail_point("accounting.build");
	if (code < 0)
		return code;
	code = switch_to(s, pin_dir, build.generation, e);
	if (code < 0)
		return code;
	build.digest = digest_build(s);
	return write_build(s, &build, e);
}

/* ---- one attempt ---- */

static int set_knobs(struct usage_skeleton *s, const struct attempt *attempt, struct error *e)
{
	const char *prefix = attempt->options->mount_prefix;
	int cpus = libbpf_num_possible_cpus();
	uint32_t parts = 1;
	struct stat root;

	if (cpus <= 0)
		return error_set(e, cpus, "count the processors: %s", strerror(-cpus));
	if (prefix && strlen(prefix) >= sizeof(s->rodata->mount_prefix))
		prefix = NULL; /* longer paths are not compared: none is noticed */
	if (prefix)
		memcpy((char *)s->rodata->mount_prefix, prefix, strlen(prefix));
	s->rodata->typed_loads_knob = attempt->typed_loads;
	/* Of the files that a system call is about, the syscall backend knows the address alone. */
	s->rodata->direct_loads_knob = attempt->typed_loads ||
				       attempt->backend == USAGE_BACKEND_OVERLAY;
	while (parts < (uint32_t)cpus && parts < USAGE_MAX_PARTS)
		parts *= 2;
	s->rodata->part_mask = parts - 1;
	s->rodata->page_shift = (uint32_t)__builtin_ctzl((unsigned long)getpagesize());
	s->rodata->atomic_knob = attempt->backend == USAGE_BACKEND_OVERLAY ||
				 parts < (uint32_t)cpus;
	s->rodata->sees_top_only_knob = attempt->backend == USAGE_BACKEND_SYSCALL;
	s->rodata->sees_ends_knob = bpf_program__autoload(s->progs.mount_gone) &&
				    bpf_program__autoload(s->progs.mount_going);
	s->rodata->cgroup_v1_knob = !usage_kernel_has_unified_cgroups();
	if (stat("/", &root) == 0) {
		s->rodata->agent_root_inode = root.st_ino;
		s->rodata->agent_root_device =
			(uint32_t)(major(root.st_dev) << 20 | minor(root.st_dev));
	}
	s->rodata->files_max = usage_file_buffer_size(attempt->options->max_files);
	s->rodata->files_per_mount = s->rodata->files_max / 3;
	s->rodata->files_reserved = USAGE_FILES_RESERVED;
	s->rodata->readers_max = s->rodata->files_max / 6;
	s->rodata->readers_per_mount = USAGE_READERS_PER_MOUNT;
	s->rodata->files_notify = s->rodata->files_max / 12;
	usage_calls_fill((uint32_t *)s->rodata->calls, (uint32_t *)s->rodata->ring_calls);
	return 0;
}

void usage_attach_close(struct usage_maps *maps)
{
	cleanup_close_fd(&maps->mount_by_minor);
	cleanup_close_fd(&maps->layer_by_root);
	cleanup_close_fd(&maps->root_filter);
	cleanup_close_fd(&maps->verdicts);
	cleanup_close_fd(&maps->cells);
	cleanup_close_fd(&maps->touched_owners);
	cleanup_close_fd(&maps->layer_uses);
	cleanup_close_fd(&maps->mapped_files);
	cleanup_close_fd(&maps->mapped_filter);
	cleanup_close_fd(&maps->file_buffer);
	cleanup_close_fd(&maps->file_events);
	cleanup_close_fd(&maps->lost);
	cleanup_close_fd(&maps->upkeep_marks);
	cleanup_close_fd(&maps->upkeep_change);
	cleanup_close_fd(&maps->upkeep_programs);
	cleanup_close_fd(&maps->upkeep_cgroups);
	cleanup_close_fd(&maps->cgroup_names);
}

static int open_maps(const char *pin_dir, struct usage_maps *ret_maps, struct error *e)
{
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	struct usage_maps maps = {
		.mount_by_minor = open_pin(pin_dir, "mount_by_minor"),
		.layer_by_root = open_pin(pin_dir, "layer_by_root"),
		.root_filter = open_pin(pin_dir, "root_filter"),
		.verdicts = open_pin(pin_dir, "mount_verdicts"),
		.cells = open_pin(pin_dir, "usage_cells"),
		.touched_owners = open_pin(pin_dir, "touched_owners"),
		.layer_uses = open_pin(pin_dir, "layer_uses"),
		.mapped_files = open_pin(pin_dir, "mapped_files"),
		.mapped_filter = open_pin(pin_dir, "mapped_filter"),
		.file_buffer = open_pin(pin_dir, "usage_file_buffer"),
		.file_events = open_pin(pin_dir, "usage_file_events"),
		.lost = open_pin(pin_dir, "usage_lost"),
		.upkeep_marks = open_pin(pin_dir, "upkeep_marks"),
		.upkeep_change = open_pin(pin_dir, "upkeep_change"),
		.upkeep_programs = open_pin(pin_dir, "upkeep_programs"),
		.upkeep_cgroups = open_pin(pin_dir, "upkeep_cgroups"),
		.cgroup_names = open_pin(pin_dir, "cgroup_names"),
	};

	if (maps.mount_by_minor < 0 || maps.layer_by_root < 0 || maps.root_filter < 0 ||
	    maps.verdicts < 0 || maps.cells < 0 || maps.touched_owners < 0 || maps.layer_uses < 0 ||
	    maps.mapped_files < 0 || maps.mapped_filter < 0 || maps.file_buffer < 0 ||
	    maps.file_events < 0 || maps.lost < 0 || maps.upkeep_marks < 0 ||
	    maps.upkeep_change < 0 || maps.upkeep_programs < 0 || maps.upkeep_cgroups < 0 ||
	    maps.cgroup_names < 0 ||
	    bpf_obj_get_info_by_fd(maps.mount_by_minor, &info, &size) < 0) {
		int code =
			error_set(e, -errno, "open the maps in %s: %s", pin_dir, strerror(errno));

		usage_attach_close(&maps);
		return code;
	}
	maps.slot_count = info.max_entries;
	*ret_maps = maps;
	return 0;
}

static int try_attempt(struct attempt *attempt, struct error *e)
{
	const char *pin_dir = attempt->options->pin_dir;
	LIBBPF_OPTS(bpf_object_open_opts, options, .kernel_log_buf = attempt->verifier_log,
		    .kernel_log_size = VERIFIER_LOG_SIZE);
	cleanup(usage_skeleton__destroy) struct usage_skeleton *s =
		usage_skeleton__open_opts(&options);
	bool even;
	int code;

	if (!s)
		return error_set(e, -ENOMEM, "open the accounting's programs: %s", strerror(errno));
	code = usage_hooks_choose(s->obj, attempt->backend, attempt->kernel, attempt->table,
				  &attempt->sees_faults, e);
	if (code == 0)
		code = set_knobs(s, attempt, e);
	if (code < 0)
		return code;
	if (is_installed(pin_dir, digest_build(s), attempt->table))
		return 0;

	cleanup(close_fd) int active = open_pin(pin_dir, "active_generation");
	s->rodata->generation = (uint32_t)newest_generation(active, &even) + 1;
	/* In the lowest bit of the digest a one: see compared_mark(). */
	s->rodata->generation_mark = (s->rodata->generation * 0x9e3779b2U | 1)
				     << USAGE_SLOT_COMPARED_SHIFT;
	set_sizes(s, attempt->options);
	code = set_pins(s, attempt->options, e);
	if (code < 0)
		return code;
	attempt->verifier_log[0] = '\0';
	code = usage_skeleton__load(s);
	if (code < 0)
		return refuse_load(attempt, code, e);
	code = usage_file_buffer_prepare(bpf_map__fd(s->maps.usage_file_buffer), pin_dir,
					 attempt->options->max_files, e);
	return code < 0 ? code : install(s, attempt, e);
}

int usage_attach(const struct usage_bpf_options *options, enum usage_backend backend,
		 struct usage_maps *ret_maps, struct error *e)
{
	cleanup(usage_kernel_close) struct usage_kernel kernel = { 0 };
	cleanup(free_ptr) char *log = malloc(VERIFIER_LOG_SIZE);
	struct attempt attempt = {
		.options = options,
		.backend = backend,
		.kernel = &kernel,
		.verifier_log = log,
	};
	int code;

	if (!log)
		return error_set(e, -ENOMEM, "out of memory");
	(void)libbpf_set_print(NULL); /* what it has to say is in errno and the verifier's log */
	log[0] = '\0';
	code = usage_kernel_open(&kernel, e);
	if (code < 0)
		return code;
	code = backend == USAGE_BACKEND_OVERLAY ? usage_kernel_refuses_exits(&kernel) : 0;
	if (code < 0)
		return refuse_load(&attempt, code, e);
	code = prepare_pins(options, e);
	if (code < 0)
		return code;
	attempt.typed_loads = usage_kernel_has(&kernel, "bpf_rdonly_cast", BTF_KIND_FUNC);
	attempt.table = usage_kernel_takes_iterators(&kernel);
	code = try_attempt(&attempt, e);
	if (code < 0 && attempt.typed_loads) {
		attempt.typed_loads = false;
		code = try_attempt(&attempt, e);
	}
	if (code == 0)
		code = open_maps(options->pin_dir, ret_maps, e);
	if (code == 0)
		ret_maps->sees_faults = attempt.sees_faults;
	return code;
}
