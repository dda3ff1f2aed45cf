// SPDX-License-Identifier: Apache-2.0

// containerd_mount SOCKET KEY DIRECTORY: mounts a snapshot on the directory as containerd's clients do:
// with the code that containerd, BuildKit and Docker share.
package main

import (
	"context"
	"log"
	"os"

	snapshotsapi "github.com/containerd/containerd/api/services/snapshots/v1"
	"github.com/containerd/containerd/mount"
	"github.com/containerd/containerd/snapshots/proxy"
	"google.golang.org/grpc"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: containerd_mount SOCKET KEY DIRECTORY")
	}
	connection, err := grpc.Dial("unix://"+os.Args[1], grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	snapshotter := proxy.NewSnapshotter(snapshotsapi.NewSnapshotsClient(connection), "varve")
	mounts, err := snapshotter.Mounts(context.Background(), os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if err := mount.All(mounts, os.Args[3]); err != nil {
		log.Fatal(err)
	}
}
