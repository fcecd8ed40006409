//go:build tools

// Package tools names the registry that the suite asks.
package tools

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
)
