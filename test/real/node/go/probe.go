package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/kubernetes/pkg/probe"
	grpcprobe "k8s.io/kubernetes/pkg/probe/grpc"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"
	tcpprobe "k8s.io/kubernetes/pkg/probe/tcp"
)

// question is one line of the input: a probe of a rendered container, and the address of its pod.
type question struct {
	ID        int          `json:"id"`
	Address   string       `json:"address"`
	Probe     v1.Probe     `json:"probe"`
	Container v1.Container `json:"container"`
}

type answer struct {
	ID     int    `json:"id"`
	Good   bool   `json:"good"`
	Output string `json:"output"`
}

// probes answers each line of the input by one line, in any order, as pkg/kubelet/prober of Kubernetes runs a probe.
func probes() {
	var lock sync.Mutex
	output := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			fail(err)
		}
		go func() {
			result, text, err := run(asked)
			if err != nil {
				text = err.Error()
			}
			lock.Lock()
			defer lock.Unlock()
			// A warning (an answer of 3xx) counts as a success for the kubelet.
			good := err == nil && (result == probe.Success || result == probe.Warning)
			_ = output.Encode(answer{asked.ID, good, text})
		}()
	}
}

func run(asked question) (probe.Result, string, error) {
	timeout := time.Duration(max(asked.Probe.TimeoutSeconds, 1)) * time.Second
	switch {
	case asked.Probe.HTTPGet != nil:
		request, err := httpprobe.NewRequestForHTTPGetAction(asked.Probe.HTTPGet, &asked.Container, asked.Address, "probe")
		if err != nil {
			return probe.Unknown, "", err
		}
		return httpprobe.New(false).Probe(request, timeout)
	case asked.Probe.TCPSocket != nil:
		port, err := probe.ResolveContainerPort(asked.Probe.TCPSocket.Port, &asked.Container)
		if err != nil {
			return probe.Unknown, "", err
		}
		return tcpprobe.New().Probe(asked.Address, port, timeout)
	case asked.Probe.GRPC != nil:
		service := ""
		if asked.Probe.GRPC.Service != nil {
			service = *asked.Probe.GRPC.Service
		}
		port, err := probe.ResolveContainerPort(intstr.FromInt32(asked.Probe.GRPC.Port), &asked.Container)
		if err != nil {
			return probe.Unknown, "", err
		}
		return grpcprobe.New().Probe(asked.Address, service, port, timeout)
	}
	return probe.Unknown, "", fmt.Errorf("a probe of a kind that is not tried here")
}
