// SPDX-License-Identifier: Apache-2.0

// containerd_pull ADDRESS NAMESPACE IMAGE: pulls an image from a registry without TLS and unpacks it with the
// snapshotter "varve", with containerd's client library, as Docker, nerdctl and the CRI plugin do. They say which
// chain each snapshot is for. Prints how many milliseconds that took.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/containerd/containerd"
	"github.com/containerd/containerd/namespaces"
	"github.com/containerd/containerd/remotes/docker"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: containerd_pull ADDRESS NAMESPACE IMAGE")
	}
	client, err := containerd.New(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	ctx := namespaces.WithNamespace(context.Background(), os.Args[2])
	hosts := docker.ConfigureDefaultRegistries(docker.WithPlainHTTP(docker.MatchAllHosts))
	start := time.Now()
	_, err = client.Pull(ctx, os.Args[3], containerd.WithPullUnpack, containerd.WithPullSnapshotter("varve"),
		containerd.WithResolver(docker.NewResolver(docker.ResolverOptions{Hosts: hosts})))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(time.Since(start).Milliseconds())
}
