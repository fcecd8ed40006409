// Command node holds two real parts of the test node: the kubelet's own probers, and a server of grpc.health.v1.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("say probe or health"))
	}
	switch os.Args[1] {
	case "probe":
		probes()
	case "health":
		serveHealth(os.Args[2:])
	default:
		fail(fmt.Errorf("no command %s", os.Args[1]))
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
