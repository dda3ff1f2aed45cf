/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store_service.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/version.h"
#include "manager/doctor.h"
#include "manager/manager.h"
#include "manager/recovery/recovery.h"
#include "service/native_service.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

static struct manager *manager_of(void *user)
{
	return ((struct native_service *)user)->manager;
}

static void run_info(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	struct error e = { 0 };
	int code;
	struct native_service *service = user;
	Varve__V1__InfoReply info = VARVE__V1__INFO_REPLY__INIT;
	struct manager_info found = { 0 };

	(void)message; /* the request has no fields */
	code = manager_info(service->manager, &found, &e);
	if (code == 0) {
		info.version = (char *)VARVE_VERSION;
		info.root = found.root;
		info.socket = (char *)service->socket;
		info.records = found.records;
		info.layers = found.layers;
		info.mounts = found.mounts;
		info.leases = found.leases;
		info.state = found.starting ? (char *)"starting" : (char *)"ready";
		info.backend = found.starting ? (char *)""
					      : (char *)usage_backend_name(found.backend);
		info.degraded_reason = found.degraded_reason ? found.degraded_reason : (char *)"";
		info.pin_directory = found.pin_directory;
		info.disk_walks = found.disk_walks;
		info.folds = found.folds;
		info.lost = found.lost;
		info.pid = getpid();
		info.started_ns = found.started_ns;
		info.mount_method = (char *)found.mount_method;
	}
	service_call_reply(call, code, &info.base, &e);
	manager_info_free(&found);
}

static int run_checks(struct grpc_call *call, struct manager *m, struct error *e)
{
	static const char *const states[] = { "ok", "warning", "degraded", "failed" };
	cleanup(doctor_report_free) struct doctor_report report = { 0 };
	cleanup(free_ptr) Varve__V1__Check *checks = NULL;
	cleanup(free_ptr) Varve__V1__Check **pointers = NULL;
	Varve__V1__DoctorReply doctor = VARVE__V1__DOCTOR_REPLY__INIT;
	int code = doctor_run(m, grpc_call_cancel_flag(call), &report, e);

	if (code < 0)
		return code;
	checks = calloc(report.count, sizeof(*checks));
	pointers = calloc(report.count, sizeof(*pointers));
	if (!checks || !pointers)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < report.count; i++) {
		struct doctor_check *found = &report.checks[i];

		varve__v1__check__init(&checks[i]);
		checks[i].name = (char *)found->name;
		checks[i].state = (char *)states[found->state];
		checks[i].found = found->found;
		checks[i].advice = found->advice;
		pointers[i] = &checks[i];
		doctor.degraded |= found->state == DOCTOR_DEGRADED;
	}
	doctor.n_checks = report.count;
	doctor.checks = pointers;
	service_call_reply(call, 0, &doctor.base, e);
	return 0;
}

static void run_doctor(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	struct error e = { 0 };
	int code = run_checks(call, manager_of(user), &e);

	(void)message; /* the request has no fields */
	if (code < 0)
		service_call_finish(call, code, &e);
}

static int send_finding(const struct store_finding *found, void *user)
{
	Varve__V1__FsckEvent event = VARVE__V1__FSCK_EVENT__INIT;
	Varve__V1__Finding finding = VARVE__V1__FINDING__INIT;

	finding.kind = (char *)found->kind;
	finding.what = (char *)found->what;
	finding.detail = (char *)found->detail;
	finding.repaired = found->repaired;
	event.event_case = VARVE__V1__FSCK_EVENT__EVENT_FINDING;
	event.finding = &finding;
	return service_call_send(user, &event.base);
}

static void run_fsck(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__FsckRequest *request = (Varve__V1__FsckRequest *)message;
	struct error e = { 0 };
	int code;
	struct store_fsck_options options = { .repair = request->repair,
					      .cancelled = grpc_call_cancel_flag(call),
					      .found = send_finding,
					      .user = call };
	Varve__V1__FsckEvent event = VARVE__V1__FSCK_EVENT__INIT;
	Varve__V1__FsckSummary sum = VARVE__V1__FSCK_SUMMARY__INIT;
	struct store_fsck_summary result = { 0 };

	code = store_fsck(manager_of(user), &options, &result, &e);
	sum.records = result.records;
	sum.found = result.found;
	sum.repaired = result.repaired;
	event.event_case = VARVE__V1__FSCK_EVENT__EVENT_SUMMARY;
	event.summary = &sum;
	service_call_reply(call, code, &event.base, &e);
}

static int send_backup(const void *piece, size_t size, void *user)
{
	Varve__V1__BackupPiece message = VARVE__V1__BACKUP_PIECE__INIT;

	message.database = (ProtobufCBinaryData){ .len = size, .data = (uint8_t *)piece };
	return service_call_send(user, &message.base);
}

static void run_backup(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	struct error e = { 0 };
	int code =
		store_backup(manager_of(user), grpc_call_cancel_flag(call), send_backup, call, &e);

	(void)message; /* it is empty */
	service_call_finish(call, code, &e);
}

const struct grpc_method store_service_methods[] = {
	{ "/varve.v1.Cache/Info", service_call_run, GRPC_METHOD_READS_BRIEFLY,
	  &(const struct service_handler){ &varve__v1__empty__descriptor, run_info } },
	{ "/varve.v1.Cache/Doctor", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__empty__descriptor, run_doctor } },
	{ "/varve.v1.Cache/Fsck", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__fsck_request__descriptor, run_fsck } },
	{ "/varve.v1.Cache/Backup", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__empty__descriptor, run_backup } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
