/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "usage/cgroup_reader.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

struct path {
	const char *path, *reader;
};

static void assert_readers(const struct path *paths, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cleanup(free_ptr) char *reader = cgroup_reader_fold(paths[i].path);

		assert_non_null(reader);
		assert_string_equal(reader, paths[i].reader);
	}
}

static void paths_fold_to_containers_and_units(void **state)
{
	static const struct path paths[] = {
		{ "/docker/" ID, "docker:" ID },
		{ "/system.slice/docker-" ID ".scope", "docker:" ID },
		{ "/kubepods/burstable/pod1a2b-3c/" ID, "kubernetes:1a2b-3c/" ID },
		{ "/kubepods/pod1a2b-3c/" ID, "kubernetes:1a2b-3c/" ID },
		{ "/kubepods.slice/kubepods-besteffort.slice/"
		  "kubepods-besteffort-pod1a2b_3c.slice/cri-containerd-" ID ".scope",
		  "kubernetes:1a2b-3c/" ID },
		{ "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1a2b_3c.slice/"
		  "crio-" ID ".scope",
		  "kubernetes:1a2b-3c/" ID },
		{ "/kubepods.slice/kubepods-pod1a2b_3c.slice", "kubernetes:1a2b-3c" },
		{ "/machine.slice/libpod-" ID ".scope", "podman:" ID },
		{ "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID
		  ".scope/container",
		  "podman:user@1000.service/" ID },
		{ "/system.slice/nerdctl-" ID ".scope", "nerdctl:" ID },
		{ "/system.slice/cri-containerd-" ID ".scope", "containerd:" ID },
		{ "/buildkit/abc123", "buildkit:abc123" },
		{ "/some/" ID "/init", "container:" ID },
		{ "/system.slice/nginx.service", "unit:nginx.service" },
		{ "/system.slice/system-getty.slice/getty@tty1.service",
		  "unit:getty@tty1.service" },
		{ "/user.slice/user-1000.slice/session-3.scope", "unit:session-3.scope" },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/a.service",
		  "unit:user@1000.service" },
		{ "/init.scope", "unit:init.scope" },
		{ "/default/redis", "cgroup:/default/redis" },
		{ "/default/redis/below", "cgroup:/default/redis" },
		{ "/user.slice", "cgroup:/user.slice" },
		{ "/", "cgroup:/" },
		{ "", "cgroup:/" },
	};

	(void)state;
	assert_readers(paths, ARRAY_SIZE(paths));
}

static void what_a_container_makes_below_itself_is_still_that_container(void **state)
{
	static const struct path paths[] = {
		{ "/docker/" ID "/docker/" OTHER, "docker:" ID },
		{ "/docker/" ID "/system.slice/nginx.service", "docker:" ID },
		{ "/system.slice/docker-" ID ".scope/kubepods/pod1/" OTHER, "docker:" ID },
		{ "/kubepods/podmine/" ID "/podother/" OTHER, "kubernetes:mine/" ID },
		{ "/system.slice/a.service/b.service/docker-" OTHER ".scope",
		  "docker:a.service/" OTHER },
	};

	(void)state;
	assert_readers(paths, ARRAY_SIZE(paths));
}

static void names_that_only_resemble_those_of_containers_are_not_containers(void **state)
{
	static const struct path paths[] = {
		{ "/docker-1234.scope", "unit:docker-1234.scope" },
		{ "/docker/" ID "0", "cgroup:/docker/" ID "0" },
		{ "/docker/0123456789ABCDEF", "cgroup:/docker/0123456789ABCDEF" },
		{ "/pod1/container", "cgroup:/pod1/container" },
		{ "/a/.service", "cgroup:/a/.service" },
	};

	(void)state;
	assert_readers(paths, ARRAY_SIZE(paths));
}

static void control_characters_are_shown_as_text(void **state)
{
	static const struct path paths[] = {
		{ "/a\x1b[2Jb/c\n1", "cgroup:/a\\x1b[2Jb/c\\n1" },
		{ "/\xff\xfe", "cgroup:/\\xff\\xfe" },
		{ "/x\x1b]0;y\a.service", "unit:x\\x1b]0;y\\x07.service" },
	};

	(void)state;
	assert_readers(paths, ARRAY_SIZE(paths));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_fold_to_containers_and_units),
		cmocka_unit_test(what_a_container_makes_below_itself_is_still_that_container),
		cmocka_unit_test(names_that_only_resemble_those_of_containers_are_not_containers),
		cmocka_unit_test(control_characters_are_shown_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
