#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""fake_containerd.py SOCKET BLOBS LOG [BEHAVIOUR]: what the agent asks of containerd, answered as the behaviour
says. BLOBS is the root of a content store, with blobs/sha256/HEX. Each call becomes a line of LOG, as JSON.

good      Read and Write work; the root is not told
root      the root of the content is told, and Read fails
lie       Read changes one byte in the middle
vanish    Read ends in the middle with NOT_FOUND
stall     Read stops in the middle, Write answers nothing
exists    the commit of a Write fails with ALREADY_EXISTS
refuse    the commit of a Write fails with INTERNAL

Wants the folder with containerd_pb2 in PYTHONPATH."""
import concurrent.futures
import hashlib
import json
import os
import sys
import threading

import grpc
import containerd_pb2 as pb

SOCKET, BLOBS, LOG = sys.argv[1:4]
BEHAVIOUR = sys.argv[4] if len(sys.argv) > 4 else 'good'
PIECE = 100000
lock = threading.Lock()


def note(context, **fields):
    fields['headers'] = {k: v for k, v in context.invocation_metadata() if k.startswith('containerd-')}
    with lock, open(LOG, 'a') as file:
        file.write(json.dumps(fields) + '\n')


def wait_forever(context):
    gone = threading.Event()
    context.add_callback(gone.set)
    gone.wait()


def path_of(digest):
    return os.path.join(BLOBS, 'blobs', 'sha256', digest.split(':')[1])


def read(request, context):
    note(context, call='Read', digest=request.digest)
    if BEHAVIOUR == 'root':
        context.abort(grpc.StatusCode.INTERNAL, 'the file is to be read')
    try:
        with open(path_of(request.digest), 'rb') as file:
            data = bytearray(file.read())
    except FileNotFoundError:
        context.abort(grpc.StatusCode.NOT_FOUND, 'content %s: not found' % request.digest)
    middle = len(data) // 2
    if BEHAVIOUR == 'lie':
        data[middle] ^= 1
    for at in range(0, len(data), PIECE):
        if at + PIECE > middle and BEHAVIOUR == 'vanish':
            context.abort(grpc.StatusCode.NOT_FOUND, 'content %s: not found' % request.digest)
        if at + PIECE > middle and BEHAVIOUR == 'stall':
            wait_forever(context)
        yield pb.ReadReply(offset=at, data=bytes(data[at:at + PIECE]))


def write(requests, context):
    data, ref = bytearray(), None
    for request in requests:
        ref = ref or request.ref
        if BEHAVIOUR == 'stall':
            note(context, call='Write', ref=ref)
            wait_forever(context)
        if request.offset == 0:
            data.clear()
        elif request.offset != len(data):
            context.abort(grpc.StatusCode.OUT_OF_RANGE, 'offset %d of %d' % (request.offset, len(data)))
        data += request.data
        digest = 'sha256:' + hashlib.sha256(data).hexdigest()
        if request.action == pb.COMMIT:
            note(context, call='Commit', ref=ref, expected=request.expected, digest=digest, total=request.total,
                 size=len(data), labels=dict(request.labels))
            if BEHAVIOUR == 'exists':
                context.abort(grpc.StatusCode.ALREADY_EXISTS, 'content %s: already exists' % digest)
            if BEHAVIOUR == 'refuse':
                context.abort(grpc.StatusCode.INTERNAL, 'the disk is on fire')
            with open(path_of(digest), 'wb') as file:
                file.write(data)
            yield pb.WriteReply(action=pb.COMMIT, offset=len(data), digest=digest)
            return
        yield pb.WriteReply(action=request.action, offset=len(data))


def update(request, context):
    note(context, call='Update', digest=request.info.digest, labels=dict(request.info.labels),
         paths=list(request.update_mask.paths))
    return pb.Empty()


def abort(request, context):
    note(context, call='Abort', ref=request.ref)
    return pb.Empty()


def create_lease(request, context):
    note(context, call='Lease', id=request.id, labels=dict(request.labels))
    return pb.Empty()


def plugins(request, context):
    note(context, call='Plugins', filters=list(request.filters))
    if BEHAVIOUR != 'root':
        context.abort(grpc.StatusCode.UNIMPLEMENTED, 'no such service')
    return pb.PluginsReply(plugins=[pb.Plugin(type='io.containerd.content.v1', id='content', exports={'root': BLOBS})])


CONTENT = '/containerd.services.content.v1.Content/'
UNARY = grpc.unary_unary_rpc_method_handler
METHODS = {
    CONTENT + 'Read': (grpc.unary_stream_rpc_method_handler, read, pb.ReadRequest),
    CONTENT + 'Write': (grpc.stream_stream_rpc_method_handler, write, pb.WriteRequest),
    CONTENT + 'Update': (UNARY, update, pb.UpdateRequest),
    CONTENT + 'Abort': (UNARY, abort, pb.AbortRequest),
    '/containerd.services.leases.v1.Leases/Create': (UNARY, create_lease, pb.CreateLeaseRequest),
    '/containerd.services.introspection.v1.Introspection/Plugins': (UNARY, plugins, pb.PluginsRequest),
}


class Handler(grpc.GenericRpcHandler):
    def service(self, details):
        method = METHODS.get(details.method)
        if not method:
            return None
        kind, answer, request = method
        return kind(answer, request.FromString, lambda reply: reply.SerializeToString())


server = grpc.server(concurrent.futures.ThreadPoolExecutor(16))
server.add_generic_rpc_handlers((Handler(),))
server.add_insecure_port('unix:' + SOCKET)
server.start()
print('ready', flush=True)
server.wait_for_termination()
