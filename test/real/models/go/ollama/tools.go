//go:build tools

// Package tools names the program that serves models in the tests.
package tools

import _ "github.com/ollama/ollama"
