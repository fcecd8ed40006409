//go:build tools

// Package tools names the program that renders Helm charts.
package tools

import _ "helm.sh/helm/v4/cmd/helm"
