// SPDX-License-Identifier: Apache-2.0

// buildkit-stubs SOCKET du|prune|workers|solve|session [FILTER]: calls varved with BuildKit's own stubs and
// Go's gRPC, as Debian packages them (BuildKit 0.8, of Docker 20.10). Prints a line of JSON for each
// message of the reply, or the code and text of an error, and then exits with 1.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	control "github.com/moby/buildkit/api/services/control"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
)

func show(message interface{}) {
	line, err := json.Marshal(message)
	check(err)
	fmt.Println(string(line))
}

func check(err error) {
	if err != nil {
		fmt.Printf("%s: %s\n", status.Code(err), status.Convert(err).Message())
		os.Exit(1)
	}
}

func prune(ctx context.Context, client control.ControlClient, filters []string) {
	records, err := client.Prune(ctx, &control.PruneRequest{Filter: filters, All: true})
	check(err)
	for {
		record, err := records.Recv()
		if err == io.EOF {
			return
		}
		check(err)
		show(record)
	}
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	connection, err := grpc.DialContext(ctx, "unix://"+os.Args[1], grpc.WithInsecure(), grpc.WithBlock())
	check(err)
	defer connection.Close()
	client := control.NewControlClient(connection)
	filters := os.Args[3:]
	switch os.Args[2] {
	case "du":
		usage, err := client.DiskUsage(ctx, &control.DiskUsageRequest{Filter: filters})
		check(err)
		show(usage)
	case "prune":
		prune(ctx, client, filters)
	case "workers":
		workers, err := client.ListWorkers(ctx, &control.ListWorkersRequest{Filter: filters})
		check(err)
		show(workers)
	case "solve":
		_, err = client.Solve(ctx, &control.SolveRequest{Ref: "x"})
		check(err)
	case "session":
		session, err := client.Session(ctx)
		check(err)
		_, err = session.Recv()
		check(err)
	}
}
