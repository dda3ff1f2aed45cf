#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fake_buildkit.py CONTROL CONTAINERD STATE LOG: BuildKit's control service at the socket CONTROL, and the
leases of its containerd at the socket CONTAINERD. It prunes as BuildKit does: a record that is in use, shared, or
below another one stays without a word, and the snapshot of one that goes is removed from the agent a moment later. Each call becomes a line of LOG, as JSON.

STATE is a file, which is read at each call and which a prune writes:

    {"behaviour": WORD, "agent": SOCKET, "version": TEXT, "records": [{"id": …, "parents": […], "snapshot": NAMESPACE/N/KEY, …}]}

A record has the fields of a UsageRecord (mutable, in_use, shared, size, description, record_type), and lease: false
when it has none, twin: ID for one that is listed under that id, which has no lease, while it is in use, and
views: keys of snapshots that go with it.

good      as above                              hang     DiskUsage never answers
silent    containerd never answers              old      Info is not implemented, parents are in the old field
liar      Prune tells of records and keeps them others   Prune removes all that nothing lies on
busy      a record gets into use before a prune gone     a prune finds that the record has just been pruned
garbage   the answer is not a message           trickle  DiskUsage sends a byte each tenth of a second
slow      the leases take a second each         late     snapshots are removed three seconds later

Wants the folder with control_pb2, containerd_pb2 and snapshots_pb2 in PYTHONPATH."""
import concurrent.futures
import json
import os
import re
import socket
import sys
import threading
import time

import grpc
import containerd_pb2
import control_pb2 as pb
import snapshots_pb2

CONTROL, CONTAINERD, STATE, LOG = sys.argv[1:5]
lock = threading.RLock()


def load():
    with open(STATE) as file:
        return json.load(file)


def save(state):
    with open(STATE + '.new', 'w') as file:
        json.dump(state, file)
    os.replace(STATE + '.new', STATE)


def note(**fields):
    with lock, open(LOG, 'a') as file:
        file.write(json.dumps(fields) + '\n')


def wait_forever(context):
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait()


def listed_id(record):
    return record['twin'] if record.get('twin') and record.get('in_use') else record['id']


def message_of(record, old=False):
    fields = {k: record[k] for k in ('mutable', 'in_use', 'shared', 'size', 'description', 'record_type') if k in record}
    parents = record.get('parents', [])
    fields['last_used_at'] = pb.Timestamp(seconds=1000000000)
    if old:
        return pb.UsageRecord(id=listed_id(record), parent=parents[0] if parents else '', **fields)
    return pb.UsageRecord(id=listed_id(record), parents=parents, **fields)


def matches(filters, ident, context):
    """BuildKit's filters, as far as they are about ids; several are an or. A regular expression is not anchored."""
    found = not filters
    for text in filters:
        match = re.fullmatch(r'id(==|~=)([A-Za-z0-9_]+|/.*/)', text)
        if not match:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, 'bad filter %s' % text)
        operator, value = match.groups()
        if operator == '==':
            found |= ident == value
        else:
            found |= bool(re.search(value.strip('/'), ident))
    return found


def disk_usage(request, context):
    state = load()
    behaviour = state['behaviour']
    note(call='DiskUsage', filter=list(request.filter))
    if behaviour == 'hang':
        wait_forever(context)
    return pb.DiskUsageResponse(record=[message_of(r, behaviour == 'old') for r in state['records']
                                        if matches(request.filter, listed_id(r), context)])


def info(_request, context):
    state = load()
    if state['behaviour'] == 'old':
        context.abort(grpc.StatusCode.UNIMPLEMENTED, 'unknown method Info')
    return pb.InfoResponse(buildkit_version=pb.BuildkitVersion(version=state.get('version', 'v0.32.2')))


def remove_snapshots(agent, keys, pause):
    time.sleep(pause)
    with grpc.insecure_channel('unix:' + agent, [('grpc.use_local_subchannel_pool', 1)]) as channel:
        remove = channel.unary_unary('/containerd.services.snapshots.v1.Snapshots/Remove')
        for key in keys:
            # As containerd's collection does, until what lies on top of it is gone, and an agent is there.
            for _attempt in range(1000):
                try:
                    remove(snapshots_pb2.KeyRequest(key=key).SerializeToString(), timeout=60, wait_for_ready=True)
                    note(call='Removed', key=key)
                    break
                except grpc.RpcError as error:
                    note(call='Removed', key=key, error=error.details())
                    time.sleep(0.05)


def may_go(record, records, request):
    if record.get('in_use') or (not request.all and (
            record.get('shared') or record.get('record_type') in ('internal', 'frontend'))):
        return False
    names = {record['id'], record.get('twin')}
    return not any(names & set(other.get('parents', [])) for other in records)


def prune(request, context):
    with lock:
        state = load()
        records, behaviour = state['records'], state['behaviour']
        note(call='Prune', filter=list(request.filter), all=request.all)
        if behaviour == 'busy':
            for record in records:
                record['in_use'] = True
        if behaviour == 'gone':
            state['records'] = []
            save(state)
            return
        chosen = [r for r in records if (behaviour == 'others' or matches(request.filter, listed_id(r), context))
                  and may_go(r, records, request)]
        if behaviour != 'liar':
            state['records'] = [r for r in records if r not in chosen]
        save(state)
    keys = [key for r in chosen for key in r.get('views', []) + [r['snapshot']]]
    for record in chosen:
        yield message_of(record)
    if keys and behaviour != 'liar':
        threading.Thread(target=remove_snapshots, args=(state['agent'], keys, 3 if behaviour == 'late' else 0.3)).start()


def leased(state):
    return [r for r in state['records'] if r.get('lease', True)]


def list_leases(_request, context):
    state = load()
    if state['behaviour'] == 'silent':
        wait_forever(context)
    if ('containerd-namespace', 'buildkit') not in context.invocation_metadata():
        return containerd_pb2.ListLeasesReply()
    labels = {'containerd.io/gc.flat': '1'}
    views = [r['id'] + '-view' for r in leased(state) if r.get('views')]
    return containerd_pb2.ListLeasesReply(leases=[containerd_pb2.Lease(id=i, labels=labels)
                                                  for i in [r['id'] for r in leased(state)] + views])


def list_resources(request, context):
    state = load()
    if state['behaviour'] == 'slow':
        time.sleep(1)
    for record in leased(state):
        if record['id'] == request.id:
            key = record['snapshot'].split('/', 2)[2]
            return containerd_pb2.ListResourcesReply(resources=[
                containerd_pb2.Resource(id='sha256:' + '0' * 64, type='content'),
                containerd_pb2.Resource(id='decoy', type='snapshots/overlayfs'),
                containerd_pb2.Resource(id=key, type='snapshots/varve')])
    context.abort(grpc.StatusCode.NOT_FOUND, 'lease %s: not found' % request.id)


def list_containers(_request, _context):
    return containerd_pb2.ListContainersReply(containers=[
        containerd_pb2.Container(id=c['id'], image=c['image'], snapshotter='varve', snapshot_key=c['key'].split('/', 2)[2])
        for c in load().get('containers', [])])


def list_namespaces(_request, _context):
    return containerd_pb2.ListNamespacesReply(namespaces=[containerd_pb2.Namespace(name='buildkit')])


def list_images(_request, _context):
    return containerd_pb2.ListImagesReply(images=[
        containerd_pb2.Image(name=i['name'], target=containerd_pb2.Target(digest=i['digest']))
        for i in load().get('images', [])])


def list_content(_request, _context):
    yield containerd_pb2.ListContentReply(info=[
        containerd_pb2.Info(digest=i['digest'], labels={'containerd.io/gc.ref.snapshot.varve': i['key'].split('/', 2)[2]})
        for i in load().get('images', [])])


def dumb(answer):
    """A method whose reply may be bytes that are not a message."""
    def call(request, context):
        if load()['behaviour'] == 'garbage':
            return b'\x0a\xff\xff\xff\xff\x01'
        return answer(request, context).SerializeToString()
    return call


LEASES = '/containerd.services.leases.v1.Leases/'
SERVICE = '/moby.buildkit.v1.Control/'
UNARY = grpc.unary_unary_rpc_method_handler
METHODS = {
    SERVICE + 'DiskUsage': (UNARY, dumb(disk_usage), pb.DiskUsageRequest),
    SERVICE + 'Info': (UNARY, dumb(info), pb.InfoRequest),
    SERVICE + 'Prune': (grpc.unary_stream_rpc_method_handler, prune, pb.PruneRequest),
    '/containerd.services.containers.v1.Containers/List': (UNARY, list_containers, containerd_pb2.ListContainersRequest),
    '/containerd.services.namespaces.v1.Namespaces/List': (UNARY, list_namespaces,
                                                           containerd_pb2.ListNamespacesRequest),
    '/containerd.services.images.v1.Images/List': (UNARY, list_images, containerd_pb2.ListImagesRequest),
    '/containerd.services.content.v1.Content/List': (grpc.unary_stream_rpc_method_handler, list_content,
                                                     containerd_pb2.ListContentRequest),
    LEASES + 'List': (UNARY, list_leases, containerd_pb2.ListLeasesRequest),
    LEASES + 'ListResources': (UNARY, list_resources, containerd_pb2.ListResourcesRequest),
}


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        method = METHODS.get(details.method)
        if not method:
            return None
        kind, answer, request = method
        return kind(answer, request.FromString, lambda r: r if isinstance(r, bytes) else r.SerializeToString())


def trickle(path):
    """A server that says something again and again, and never answers: HTTP/2 settings, byte by byte."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    while True:
        connection = listener.accept()[0]
        connection.sendall(b'\0\0\0\4\0\0\0\0\0')
        try:
            while True:
                connection.sendall(b'\0\0\x08\6\0\0\0\0\0' + b'\0' * 8)  # a ping
                time.sleep(0.1)
        except OSError:
            connection.close()


servers = []
for path in (CONTROL, CONTAINERD):
    if path == CONTROL and load()['behaviour'] == 'trickle':
        threading.Thread(target=trickle, args=(path,), daemon=True).start()
        continue
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((Handler(),))
    server.add_insecure_port('unix:' + path)
    server.start()
    servers.append(server)
print('ready', flush=True)
servers[0].wait_for_termination()
