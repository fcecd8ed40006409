// Command answers reads objects and packets as JSON, and prints for each packet whether it passes.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

type question struct {
	Pods       []v1.Pod                     `json:"pods"`
	Namespaces []v1.Namespace               `json:"namespaces"`
	Policies   []networkingv1.NetworkPolicy `json:"policies"`
	Packets    []struct {
		From     string `json:"from"`
		To       string `json:"to"`
		Port     int    `json:"port"`
		Protocol string `json:"protocol"`
	} `json:"packets"`
}

func main() {
	var asked question
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	engine, err := networkpolicy.NewEngine(asked.Pods, asked.Namespaces, asked.Policies)
	if err != nil {
		fail(err)
	}
	answers := make([]bool, 0, len(asked.Packets))
	for _, packet := range asked.Packets {
		answers = append(answers, engine.Allows(packet.From, packet.To, packet.Port, packet.Protocol))
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
