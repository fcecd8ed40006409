//go:build tools

// Package tools names the engine that Talos 1.13 enforces network policies with.
package tools

import (
	_ "sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)
